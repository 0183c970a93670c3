// Users in a database: dovecot-sql.conf.ext, its queries, its rows.
#pragma once

#include "auth-socket/users/database.h"
#include "common/base/metrics.h"
#include "common/sql/pool.h"
#include "common/sql/template.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postern::auth_socket {

// The longest a lookup waits for the database. Together with the failure delay it stays below the 10 s for
// which Postfix waits.
inline constexpr std::chrono::seconds sql_lookup_time{5};

struct SqlSettings {
    sql::PoolSettings pool;
    std::string default_scheme = "MD5";
    std::string password_query =
        "SELECT username, domain, password FROM users WHERE username = '%n' AND domain = '%d'";
    std::string user_query = "SELECT home, uid, gid FROM users WHERE username = '%n' AND domain = '%d'";
    std::string iterate_query = "SELECT username, domain FROM users";
    config::Place password_place, user_place, iterate_place;
};

// dovecot-sql.conf.ext. Problems are added; absent when there is an error among them.
std::optional<SqlSettings> read_sql_settings(std::string const& path, std::vector<config::Problem>& problems);
std::optional<SqlSettings> parse_sql_settings(std::string_view text, std::string const& file,
                                              std::vector<config::Problem>& problems);

// "host=a host=b port=5432 user=x password='y z' dbname=d maxconns=5": one server for each host.
Result<> read_connect(std::string_view connect, sql::Driver driver, sql::PoolSettings& pool);

// One for each configuration file; passdb and userdb share its connections.
class SqlUsers final : public Passdb, public Userdb {
  public:
    // Permanent error: a query template that cannot be read. Warnings about it are added to problems.
    static Result<std::shared_ptr<SqlUsers const>> make(SqlSettings settings, Log& log, Metrics& metrics,
                                                        std::vector<config::Problem>& problems);

    std::string default_scheme() const override { return settings_.default_scheme; }
    Result<std::vector<Fields>> lookup(Request const& request) const override; // Passdb's
    std::optional<std::string> cache_key(Request const& request) const override;
    bool answers_together(Request const&) const override { return is_well_; }
    void lookup_all(std::span<Request const* const> requests, Answers& answers) const override;
    Result<std::optional<Fields>> lookup_after(Outcome const* login, Request const& request) const override;
    Result<bool> list(std::function<void(std::string_view)> const& each) const override;

  private:
    SqlUsers(SqlSettings settings, sql::Template password, sql::Template user, sql::Template iterate,
             Log& log, Metrics& metrics);
    Result<sql::Template::Bound> bound(sql::Template const& query, Request const& request) const;
    Result<sql::Rows> run(sql::Template const& query, Request const& request) const;

    SqlSettings const settings_;
    sql::Template const password_query_, user_query_, iterate_query_;
    std::unique_ptr<sql::Pool> const pool_;
    mutable std::atomic<bool> is_well_{true}; // the last password query was quick and had an answer
};

} // namespace postern::auth_socket
