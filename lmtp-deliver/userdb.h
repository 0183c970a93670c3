// Users from Dovecot's user database protocol (auth-userdb): a client of auth-socket or of Dovecot's auth.
#pragma once

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/net/address.h"
#include "common/net/stream.h"
#include "lmtp-deliver/delivery.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::lmtp_deliver {

// The server reads lines of 1024 octets at most and hangs up on a longer one.
inline constexpr std::size_t max_userdb_request = 1024;
inline constexpr std::size_t max_userdb_reply = 16384;

// In this protocol TAB, CR, LF, NUL and \001 inside a value are written as \001 and a letter.
std::string tab_escape(std::string_view text);
std::string tab_unescape(std::string_view text);

// "USER<TAB>1<TAB>alice@example.com<TAB>service=lmtp...<LF>"; an error when it would be too long to ask.
Result<std::string> userdb_request(std::uint32_t id, std::string_view user, Origin const& origin);

struct UserdbReply {
    enum class Kind {
        user,
        not_found,
        failed, // the server could not find it out; asking it again would not help now
        other,  // a line that answers something else
    };
    Kind kind = Kind::other;
    User user;
    std::string reason; // failed: for the log
};
// One line. An error is a server that speaks otherwise.
Result<UserdbReply> parse_userdb_reply(std::string_view line, std::uint32_t id);

// Thread-safe; keeps a few connections open for the next question.
class UserdbClient final : public Users {
  public:
    UserdbClient(net::Address address, std::chrono::milliseconds timeout)
        : address_(std::move(address)), timeout_(timeout) {}
    Result<std::optional<User>> find(std::string_view name, Origin const& origin) override;

  private:
    struct Connection {
        net::Stream stream;
        std::uint32_t last_id = 0;
    };
    using Held = std::unique_ptr<Connection>;
    Held take_idle();
    void give_back(Held connection);
    Result<Held> open(Deadline deadline);
    // A reply that is not "other"; an error: the connection is of no more use.
    Result<UserdbReply> ask(Connection& connection, std::string_view name, Origin const& origin,
                            Deadline deadline);
    Result<UserdbReply> ask_someone(std::string_view name, Origin const& origin, Deadline deadline);

    net::Address address_;
    std::chrono::milliseconds timeout_;
    std::mutex mutex_; // guards idle_
    std::vector<Held> idle_;
};

} // namespace postern::lmtp_deliver
