// Finished logins that a mail process will ask about: the hand-over from Dovecot's login processes.
#pragma once

#include "auth-socket/request.h"
#include "common/base/clock.h"

#include <chrono>
#include <compare>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

using TimeSource = std::function<Deadline::Clock::time_point()>;

// How long an unanswered AUTH and a finished login are kept, as Dovecot does.
inline constexpr std::chrono::seconds request_lifetime{150};

struct FinishedLogin {
    Request request;
    Outcome outcome;
};

// Thread-safe; one per process, filled by the login sockets, emptied by the master sockets.
class Logins {
  public:
    explicit Logins(TimeSource now) : now_(std::move(now)) {}

    void keep(std::string const& cookie, std::uint32_t id, FinishedLogin login);
    // The client with this pid and cookie has gone.
    void forget(std::string_view cookie, std::uint32_t client_pid);
    // Gives each login out once. Absent: no such login, another pid, too late.
    std::optional<FinishedLogin> take(std::string_view cookie, std::uint32_t client_pid, std::uint32_t id);
    std::size_t size() const;

  private:
    // Looked up by what is no secret; the cookie is compared, in constant time.
    struct Key {
        std::uint32_t client_pid, id;
        auto operator<=>(Key const&) const = default;
    };
    struct Kept {
        std::string cookie;
        FinishedLogin login;
        Deadline::Clock::time_point until;
    };
    TimeSource now_;
    mutable std::mutex mutex_; // guards kept_
    // Two clients may say that they have one pid, each with a cookie of its own.
    std::multimap<Key, Kept> kept_;

    template <class Goes>
    void erase_of_client(std::uint32_t client_pid, Goes goes);
};

} // namespace postern::auth_socket
