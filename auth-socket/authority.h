// Who knows the users: what the sessions ask, and nothing about where it is kept.
#pragma once

#include "auth-socket/request.h"

#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace postern::auth_socket {

enum class UserVerdict { found, not_found, temporary };

struct UserOutcome {
    UserVerdict verdict = UserVerdict::temporary;
    std::string user;
    Fields fields;      // uid, gid, home, quota_rule ...
    std::string reason; // for the client, short and fixed; may be empty
};

// Thread-safe. Every call may block (databases, hashing) and writes its own log line for a failure.
// request.original_user is the name as the client gave it; the answer's is the normalised one.
class Authority {
  public:
    virtual ~Authority() = default;

    // Whose password it is that a client tries with this name: normalised, without the user whom a master
    // user wants to be. Penalties count by it; blocks on nothing.
    virtual std::string account(Request const& request, std::string_view name) const = 0;
    // A login by this mechanism may wait for servers on the web.
    virtual bool asks_web(std::string_view /*mechanism*/) const { return false; }
    // authorization: whom the user wants to be, for master users; empty: itself.
    virtual Outcome check_password(Request& request, std::string_view authorization,
                                   Secret const& password) const = 0;
    // What check_password() would say, where that is yes and takes no waiting, for a database or a slow hash.
    virtual std::optional<Outcome> login_at_hand(Request& /*request*/, std::string_view /*authorization*/,
                                                 Secret const& /*password*/) const {
        return std::nullopt;
    }
    // Logins whose first question goes to a database that answers several for less than each costs alone give
    // the same value here. Null: not such a login.
    virtual void const* asked_together(Request& /*request*/, std::string_view /*authorization*/) const {
        return nullptr;
    }
    // Asks that question for all of them, and sets their looked_up. held_up: these have to be asked alone,
    // the others that have no answer yet will have it later.
    using HeldUp = std::function<void(std::span<std::size_t const>)>;
    virtual void look_up(std::span<Request* const> /*requests*/, HeldUp const& /*held_up*/) const {}
    // outcome.credential is set when the verdict is ok.
    virtual Outcome find_secret(Request& request, std::string_view authorization,
                                std::span<std::string const> schemes) const = 0;
    // After a challenge mechanism has proven the secret: somebody may still object. May block.
    virtual bool settles() const { return false; }
    virtual Outcome settle(Request&, Outcome const& outcome) const { return outcome; }
    // How a login ended; blocks on nothing.
    virtual void report(Request const&, Outcome const&) const {}
    // Without a password: PASS, EXTERNAL, ANONYMOUS.
    virtual Outcome find_login(Request& request, std::string_view authorization) const = 0;
    // login: what the password query of this user's login said; null for plain lookups.
    virtual UserOutcome find_user(Request& request, Outcome const* login) const = 0;
    // Every user name that matches the mask ('*' and '?', case ignored). An error: the list is not complete.
    virtual Result<> list_users(Request const& request, std::string_view mask,
                                std::function<void(std::string_view)> const& each) const = 0;
    // The line for a wrong answer to a challenge, which only the mechanism sees.
    virtual void log_mismatch(Request const& request, std::string_view why) const = 0;
};

} // namespace postern::auth_socket
