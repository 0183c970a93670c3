// Makes the databases that a configuration names.
#include "auth-socket/users/loader.h"

#include "auth-socket/oauth2/token_passdb.h"
#include "auth-socket/schemes/scheme.h"
#include "auth-socket/users/files.h"
#include "auth-socket/users/ids.h"
#include "auth-socket/users/passwd_file.h"
#include "auth-socket/users/sql.h"
#include "auth-socket/users/system.h"
#include "common/base/text.h"

#include <map>

namespace postern::auth_socket {

namespace {

using config::Problem;

class Loader {
  public:
    Loader(std::vector<DatabaseBlock> const& userdbs, Helper const& helper, Log& log, Metrics& metrics,
           std::vector<Problem>& problems)
        : userdbs_(userdbs), helper_(helper), log_(log), metrics_(metrics), problems_(problems) {}

    std::shared_ptr<Passdb const> passdb(DatabaseBlock const& block) {
        check_default_scheme(block);
        if (block.driver == "sql") return sql(block);
        if (block.driver == "static") return made(StaticUsers::make(block.args), block);
        if (block.driver == "passwd-file") return made(passwd_file(block), block);
        if (block.driver == "pam" && !block.service.empty())
            return made(SystemPasswords::make_for_service(HelperKind::pam, block.service, helper_), block);
        if (block.driver == "pam")
            return made(SystemPasswords::make(HelperKind::pam, block.args, helper_), block);
        if (block.driver == "shadow")
            return made(SystemPasswords::make(HelperKind::shadow, block.args, helper_), block);
        if (block.driver == "oauth2") return tokens(block);
        return unknown(block, "passdb", "sql, static, passwd-file, pam, shadow, oauth2"), nullptr;
    }

    std::shared_ptr<Userdb const> userdb(DatabaseBlock const& block) {
        if (block.driver == "sql") return sql(block);
        if (block.driver == "prefetch") return std::make_shared<PrefetchUsers const>();
        if (block.driver == "static") {
            check_ids(block);
            return made(StaticUsers::make(block.args), block);
        }
        if (block.driver == "passwd-file") return made(passwd_file(block), block);
        if (block.driver == "passwd") return std::make_shared<SystemUsers const>();
        return unknown(block, "userdb", "sql, prefetch, static, passwd-file, passwd"), nullptr;
    }

    std::string token_scope, openid_configuration;

  private:
    template <class T>
    std::shared_ptr<T const> made(Result<std::shared_ptr<T const>> result, DatabaseBlock const& block) {
        if (result) return std::move(*result);
        problems_.push_back(
            {Problem::Severity::error, block.place, block.driver + ": " + result.error().text});
        return nullptr;
    }

    static PasswdFileSettings file_settings(DatabaseBlock const& block) {
        auto settings = passwd_file_settings(block.path.empty() ? block.args : "");
        if (!block.path.empty()) settings.path = block.path;
        if (!block.username_format.empty()) settings.username_format = block.username_format;
        return settings;
    }

    Result<std::shared_ptr<PasswdFile const>> passwd_file(DatabaseBlock const& block) {
        auto settings = file_settings(block);
        settings.log = &log_;
        for (auto const& each : userdbs_)
            settings.has_userdb |= each.driver == "passwd-file" && file_settings(each).path == settings.path;
        return PasswdFile::make(std::move(settings));
    }

    // Stored passwords with a scheme of their own do without it.
    void check_default_scheme(DatabaseBlock const& block) {
        auto scheme = block.default_scheme;
        if (scheme.empty() && block.driver == "passwd-file") scheme = file_settings(block).scheme;
        if (scheme.empty()) return;
        if (auto const known = check_scheme(scheme); !known)
            problems_.push_back(
                {Problem::Severity::warning, block.place, "the default scheme: " + known.error().text});
    }

    // As at the start of Dovecot's auth; with a variable in it, it is known only for a user.
    void check_ids(DatabaseBlock const& block) {
        for (auto const& fields : {argument_fields(block.args), block.override_fields})
            for (auto const& [name, value] : fields) {
                auto const id = value.value_or("");
                if (id.contains('%') || (name != "uid" && name != "gid")) continue;
                if (name == "uid" ? !uid_number(id) : !gid_number(id))
                    problems_.push_back({Problem::Severity::error, block.place,
                                         "userdb static: unknown " + name + " \"" + printable(id) + "\""});
            }
    }

    void unknown(DatabaseBlock const& block, std::string_view kind, std::string_view known) {
        problems_.push_back({Problem::Severity::error, block.place,
                             std::string(kind) + ": the driver \"" + printable(block.driver) +
                                 "\" is not one of " + std::string(known)});
    }

    std::shared_ptr<TokenPassdb const> tokens(DatabaseBlock const& block) {
        std::optional<TokenSettings> settings;
        if (block.tokens)
            settings = *block.tokens;
        else if (block.args.empty())
            problems_.push_back(
                {Problem::Severity::error, block.place, "oauth2: args must name dovecot-oauth2.conf.ext"});
        else
            settings = read_token_settings(block.args, problems_);
        if (!settings) return nullptr;
        if (token_scope.empty()) token_scope = join(settings->scopes, " ");
        if (openid_configuration.empty()) openid_configuration = settings->openid_configuration_url;
        std::shared_ptr<http::Client const> client;
        if (settings->asks_web()) client = http::make_client(settings->tls, "postern-auth-socket");
        return std::make_shared<TokenPassdb const>(std::move(*settings), std::move(client));
    }

    std::shared_ptr<SqlUsers const> sql(DatabaseBlock const& block) {
        if (block.sql) return SqlUsers::make(*block.sql, log_, metrics_, problems_).value_or(nullptr);
        if (auto const known = sql_.find(block.args); known != sql_.end()) return known->second;
        auto& users = sql_[block.args]; // a broken file is told once
        if (block.args.empty()) {
            problems_.push_back(
                {Problem::Severity::error, block.place, "sql: args must name dovecot-sql.conf.ext"});
            return nullptr;
        }
        auto settings = read_sql_settings(block.args, problems_);
        if (!settings) return nullptr;
        if (auto result = SqlUsers::make(std::move(*settings), log_, metrics_, problems_))
            users = std::move(*result);
        return users;
    }

    std::vector<DatabaseBlock> const& userdbs_;
    Helper const& helper_;
    Log& log_;
    Metrics& metrics_;
    std::vector<Problem>& problems_;
    std::map<std::string, std::shared_ptr<SqlUsers const>> sql_;
};

} // namespace

Users load_users(Settings const& settings, Helper const& helper, Hashing& hashing, Log& log, Metrics& metrics,
                 std::vector<Problem>& problems) {
    std::vector<Problem> found;
    Loader loader(settings.userdbs, helper, log, metrics, found);
    Users users;
    if (settings.cache.size > 0)
        users.cache =
            std::make_shared<AuthCache>(settings.cache, [] { return Deadline::Clock::now(); }, metrics);
    std::vector<ConfiguredPassdb> passdbs;
    std::vector<ConfiguredUserdb> userdbs;
    for (auto const& block : settings.passdbs) {
        auto database = loader.passdb(block);
        if (users.cache && database && block.use_cache)
            database =
                std::make_shared<CachedPassdb const>(database, users.cache, std::to_string(passdbs.size()));
        passdbs.push_back({block, std::move(database)});
    }
    for (auto const& block : settings.userdbs) userdbs.push_back({block, loader.userdb(block)});
    users.token_scope = loader.token_scope;
    users.openid_configuration = loader.openid_configuration;
    problems.insert(problems.end(), found.begin(), found.end());
    if (!config::has_errors(found))
        users.authenticator = std::make_shared<Authenticator const>(
            settings.authenticator, std::move(passdbs), std::move(userdbs), hashing, log);
    return users;
}

} // namespace postern::auth_socket
