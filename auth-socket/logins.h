// Finished logins that a mail process will ask about: the hand-over from Dovecot's login processes.
#pragma once

#include "auth-socket/request.h"
#include "common/base/clock.h"

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

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
    // The client with this cookie has gone.
    void forget(std::string const& cookie);
    // Gives each login out once. Absent: no such login, another pid, too late.
    std::optional<FinishedLogin> take(std::string const& cookie, std::uint32_t client_pid, std::uint32_t id);
    std::size_t size() const;

  private:
    struct Kept {
        FinishedLogin login;
        Deadline::Clock::time_point until;
    };
    TimeSource now_;
    mutable std::mutex mutex_; // guards kept_
    std::map<std::string, std::map<std::uint32_t, Kept>> kept_;
};

} // namespace postern::auth_socket
