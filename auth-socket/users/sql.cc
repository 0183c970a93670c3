// Users in a database: queries with bound values, rows as fields.
#include "auth-socket/users/sql.h"

#include "auth-socket/users/passdb_fields.h"
#include "auth-socket/users/variables.h"
#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

Result<sql::Template> read_query(std::string const& text, config::Place const& place, sql::Driver driver,
                                 std::vector<config::Problem>& problems) {
    auto query = sql::Template::parse(trim(text), driver, scan_variable);
    if (!query) {
        problems.push_back({config::Problem::Severity::error, place, query.error().text});
        return query;
    }
    for (auto const& bare : query->bare_variables())
        problems.push_back(
            {config::Problem::Severity::warning, place,
             "%" + bare + " stands outside quotes: write '%" + bare + "', so that its value is bound"});
    return query;
}

// NULL columns are left out, but for the password.
Fields row_fields(sql::Rows const& rows, std::vector<sql::Value> const& row) {
    Fields fields;
    for (std::size_t i = 0; i < rows.columns.size() && i < row.size(); ++i) {
        auto const& name = rows.columns[i];
        if (row[i] || name == "password" || name == "password_noscheme") fields.set(name, row[i]);
    }
    return fields;
}

Result<std::vector<Fields>> all_fields(Result<sql::Rows> const& rows) {
    if (!rows) return std::unexpected(rows.error());
    std::vector<Fields> all;
    for (auto const& row : rows->rows) all.push_back(row_fields(*rows, row));
    return all;
}

} // namespace

Result<std::shared_ptr<SqlUsers const>> SqlUsers::make(SqlSettings settings, Log& log, Metrics& metrics,
                                                       std::vector<config::Problem>& problems) {
    auto const driver = settings.pool.servers.at(0).driver;
    auto password = read_query(settings.password_query, settings.password_place, driver, problems);
    auto user = read_query(settings.user_query, settings.user_place, driver, problems);
    auto iterate = read_query(settings.iterate_query, settings.iterate_place, driver, problems);
    for (auto const* query : {&password, &user, &iterate})
        if (!*query) return std::unexpected(query->error());
    return std::shared_ptr<SqlUsers const>(new SqlUsers(std::move(settings), std::move(*password),
                                                        std::move(*user), std::move(*iterate), log, metrics));
}

SqlUsers::SqlUsers(SqlSettings settings, sql::Template password, sql::Template user, sql::Template iterate,
                   Log& log, Metrics& metrics)
    : settings_(std::move(settings)), password_query_(std::move(password)), user_query_(std::move(user)),
      iterate_query_(std::move(iterate)), pool_(std::make_unique<sql::Pool>(settings_.pool, log, metrics)) {}

Result<sql::Template::Bound> SqlUsers::bound(sql::Template const& query, Request const& request) const {
    return query.bind([&](std::string_view name) { return variable_value(name, request); },
                      [this](std::string_view text) { return pool_->escape(text); });
}

Result<sql::Rows> SqlUsers::run(sql::Template const& query, Request const& request) const {
    auto const asked = bound(query, request);
    if (!asked) return std::unexpected(asked.error());
    return pool_->query(asked->statement, asked->values, Deadline::after(sql_lookup_time));
}

Result<std::vector<Fields>> SqlUsers::lookup(Request const& request) const {
    auto const begun = Deadline::Clock::now();
    auto const rows = run(password_query_, request);
    if (!is_well_) is_well_ = rows && Deadline::Clock::now() - begun < sql::batch_patience / 2;
    return all_fields(rows);
}

namespace {

class Translated final : public sql::Answers {
  public:
    Translated(Passdb::Answers& to, std::vector<std::size_t> places) : to_(to), places_(std::move(places)) {}
    void answer(std::size_t which, Result<sql::Rows> rows) override {
        if (!rows) is_well = false;
        to_.answer(places_[which], all_fields(rows));
    }
    void take_back(std::vector<std::size_t> which) override {
        is_well = false;
        for (auto& each : which) each = places_[each];
        to_.held_up(std::move(which));
    }

    bool is_well = true;

  private:
    Passdb::Answers& to_;
    std::vector<std::size_t> const places_; // in the list of requests, of each query
};

} // namespace

void SqlUsers::lookup_all(std::span<Request const* const> requests, Answers& answers) const {
    std::vector<sql::Template::Bound> all;
    std::vector<std::size_t> places;
    for (std::size_t i = 0; i < requests.size(); ++i) {
        auto asked = bound(password_query_, *requests[i]);
        if (!asked) {
            answers.answer(i, std::unexpected(std::move(asked.error())));
            continue;
        }
        all.push_back(std::move(*asked));
        places.push_back(i);
    }
    auto const deadline = Deadline::after(sql_lookup_time);
    std::vector<sql::Query> queries;
    for (auto const& each : all) queries.push_back({&each.statement, each.values, deadline});
    Translated translated(answers, std::move(places));
    pool_->query_all(queries, translated);
    if (!translated.is_well) is_well_ = false;
}

// Absent where the query asks for the password: kept answers would know it.
std::optional<std::string> SqlUsers::cache_key(Request const& request) const {
    std::string key;
    for (auto const& name : password_query_.variables()) {
        if (name.ends_with('w') || name.contains("password")) return std::nullopt;
        auto const value = variable_value(name, request);
        if (!value) return std::nullopt;
        key += *value + '\0';
    }
    return key;
}

Result<std::optional<Fields>> SqlUsers::lookup_after(Outcome const*, Request const& request) const {
    auto const rows = run(user_query_, request);
    if (!rows) return std::unexpected(rows.error());
    if (rows->rows.empty()) return std::nullopt;
    return row_fields(*rows, rows->rows[0]);
}

Result<bool> SqlUsers::list(std::function<void(std::string_view)> const& each) const {
    auto const rows = run(iterate_query_, Request{});
    if (!rows) return std::unexpected(rows.error());
    for (auto const& row : rows->rows) {
        std::string user;
        for (auto const& [name, value] : row_fields(*rows, row))
            if (auto const named = renamed(user, name, value.value_or(""))) user = *named;
        if (!user.empty()) each(user);
    }
    return true;
}

} // namespace postern::auth_socket
