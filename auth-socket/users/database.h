// Where users are kept: passdbs give stored passwords, userdbs home, uid, quota and the like.
#pragma once

#include "auth-socket/request.h"
#include "common/base/error.h"
#include "common/config/settings.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

struct SqlSettings;
struct TokenSettings;

// What happens after a database has spoken (result_success, result_failure, result_internalfail).
enum class Rule { return_ok, return_here, return_fail, continue_on, continue_ok, continue_fail };
// When a database is not asked: its user is known by then, or not known.
enum class Skip { never, when_known, when_unknown };

// One passdb { } or userdb { } block.
struct DatabaseBlock {
    std::string driver, args;
    std::string name;                       // for the log: the driver's
    Fields default_fields, override_fields; // values are templates
    std::vector<std::string> mechanisms;    // in capitals; empty: all
    std::string username_filter;            // wildcards, separated by blanks; "!" negates
    Skip skip = Skip::never;
    Rule success = Rule::return_ok;
    Rule failure = Rule::continue_on;
    Rule internal_failure = Rule::continue_on;
    bool master = false;            // holds master users
    bool pass = false;              // result_success = continue, for master users
    bool deny = false;              // who is in it does not get in
    bool others_may_object = false; // its yes needs all the others' word: one that is away is none
    config::Place place;
    bool imports_all = true; // fields_import_all: the row counts, not only what fields { } make of it
    bool use_cache = true;
    // 2.4 writes these into the block, 2.3 into args or the file that args names.
    std::string default_scheme;
    std::string path, username_format; // passwd-file
    std::string service;               // pam
    std::shared_ptr<SqlSettings const> sql;
    std::shared_ptr<TokenSettings const> tokens;
};

// What a database said that checks passwords by itself.
struct Checked {
    Verdict verdict = Verdict::temporary;
    std::string text; // for the log
    Fields fields;    // what it tells about a user who gets in
};

// Thread-safe, as all databases.
class Passdb {
  public:
    virtual ~Passdb() = default;
    virtual std::string default_scheme() const { return "PLAIN"; }
    // What is stored about the user, a Fields for each row; no row: unknown here. A column that is NULL is
    // left out, but for the password, which then has no value. Temporary error: could not be found out.
    virtual Result<std::vector<Fields>> lookup(Request const& request) const = 0;
    // What the answer depends on, besides the databases: the values of the query's variables. Absent: answers
    // of this database are not to be kept.
    virtual std::optional<std::string> cache_key(Request const&) const { return std::nullopt; }
    // What lookup() would say, where it is in memory.
    struct AtHand {
        std::shared_ptr<std::vector<Fields> const> rows = nullptr; // null: it would have to ask
        bool is_noted = true; // note() would change nothing if the password is right
    };
    virtual AtHand at_hand(Request const&) const { return {}; }
    // Several lookups at once cost less than each of them alone.
    virtual bool answers_together(Request const&) const { return false; }
    class Answers {
      public:
        virtual ~Answers() = default;
        virtual void answer(std::size_t which, Result<std::vector<Fields>> rows) = 0;
        // Something takes long: these are to be asked with lookup(), each for itself.
        virtual void held_up(std::vector<std::size_t> which) = 0;
    };
    virtual void lookup_all(std::span<Request const* const> /*requests*/, Answers& /*answers*/) const {}
    // After a wrong password: the rows anew, where lookup() gave kept ones that may be out of date.
    virtual Result<std::optional<std::vector<Fields>>> lookup_again(Request const&) const {
        return std::nullopt;
    }
    // How the password compared with what lookup() gave.
    virtual void note(Request const&, bool /*matched*/) const {}
    virtual bool takes_notes() const { return false; }
    // PAM and access tokens: the database says yes or no by itself. Absent: this one is not of that kind.
    virtual std::optional<Result<Checked>> check(Request const&, Secret const&) const { return std::nullopt; }
    // It waits for servers on the web.
    virtual bool asks_web() const { return false; }
    // lookup() knows who exists; PAM and tokens answer with a password only.
    virtual bool knows_users() const { return true; }
};

class Userdb {
  public:
    virtual ~Userdb() = default;
    // Absent: unknown here. login: the user's password query of a moment ago, or null; only prefetch looks at
    // it.
    virtual Result<std::optional<Fields>> lookup_after(Outcome const* login,
                                                       Request const& request) const = 0;
    // It has fields for any name: passdbs must tell who exists.
    virtual bool needs_passdb() const { return false; }
    // False: this kind of database has no list.
    virtual Result<bool> list(std::function<void(std::string_view)> const&) const { return false; }
};

// Of a passdb or userdb by its place in the configuration: "%!" is that number from 1 on.
struct ConfiguredPassdb {
    DatabaseBlock block;
    std::shared_ptr<Passdb const> database;
};
struct ConfiguredUserdb {
    DatabaseBlock block;
    std::shared_ptr<Userdb const> database;
};

} // namespace postern::auth_socket
