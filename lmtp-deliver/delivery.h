// What a session needs to know of users and mailboxes: who is there, and what became of each copy.
#pragma once

#include "common/base/error.h"
#include "lmtp-deliver/spool.h"

#include <sys/types.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::lmtp_deliver {

// A user as the user database tells it.
struct User {
    std::string name; // as the database writes it; it may differ from what was asked
    std::optional<std::string> home;
    std::optional<std::string> mail; // overrides mail_location
    std::optional<uid_t> uid;
    std::optional<gid_t> gid;
    std::map<std::string, std::string, std::less<>> fields; // all others: quota_rule ...
};

// The connection a question is asked for.
struct Origin {
    std::string remote_address; // empty for Unix sockets
    std::uint16_t remote_port = 0;
    std::string local_address;
    std::uint16_t local_port = 0;
};

class Users {
  public:
    virtual ~Users() = default;
    // Absent: there is no such user. An error: it could not be found out.
    virtual Result<std::optional<User>> find(std::string_view name, Origin const& origin) = 0;
};

// One copy to be stored.
struct Destination {
    User user;
    std::string detail;     // the folder of user+folder@domain, or empty
    std::string session_id; // for the log
    Origin origin;
};

struct Outcome {
    enum class Kind {
        saved,
        over_quota,         // the user's mailbox is full
        over_quota_for_now, // the same with quota_full_tempfail
        failed,             // could not be stored now; the log has the cause
    };
    Kind kind = Kind::failed;
    std::string text; // over_quota: words for the sender
};

class Delivery {
  public:
    virtual ~Delivery() = default;
    // Asked at RCPT: why this copy could not be stored even if it were tiny; absent: it is welcome.
    virtual std::optional<Outcome> refusal(Destination const& destination) = 0;
    // One outcome for each destination, in their order. A copy is stored whole and on disk, or not at all.
    virtual std::vector<Outcome> deliver(Spool& message, std::span<Destination const> destinations) = 0;
};

} // namespace postern::lmtp_deliver
