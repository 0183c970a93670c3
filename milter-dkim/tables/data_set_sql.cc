// Reads DSNs as OpenDBX has them in opendkim.conf, and asks the pool.
#include "milter-dkim/tables/data_set_sql.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "common/sql/pool.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::milter_dkim {

namespace {

constexpr auto query_time = std::chrono::seconds(5);
// Of one statement. All forms of an IPv6 client are 260.
constexpr std::size_t max_keys_at_once = 500;

std::string decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '=' && i + 2 < text.size())
            if (auto const octet = hex_decode(text.substr(i + 1, 2))) {
                out += *octet;
                i += 2;
                continue;
            }
        out += text[i];
    }
    return out;
}

// Names go into the statement as they are.
bool is_identifier(std::string_view name) {
    return !name.empty() && name.size() <= 128 &&
           std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '$'; });
}

std::optional<sql::Driver> driver_of(std::string_view name) {
    if (equals_ignoring_case(name, "mysql") || equals_ignoring_case(name, "mariadb"))
        return sql::Driver::mariadb;
    if (equals_ignoring_case(name, "pgsql") || equals_ignoring_case(name, "postgresql"))
        return sql::Driver::postgresql;
    if (equals_ignoring_case(name, "sqlite") || equals_ignoring_case(name, "sqlite3"))
        return sql::Driver::sqlite;
    return std::nullopt;
}

// [user[:password]@][port+]host/database
Result<> read_server(std::string_view text, sql::ServerSettings& server) {
    if (server.driver == sql::Driver::sqlite) {
        server.database = decoded(text);
        if (server.database.empty()) return permanent("the DSN names no file");
        return {};
    }
    auto const slash = text.rfind('/');
    if (slash == std::string_view::npos) return permanent("the DSN names no database");
    server.database = decoded(text.substr(slash + 1));
    auto where = text.substr(0, slash);
    if (auto const at = where.rfind('@'); at != std::string_view::npos) {
        auto const who = halve(where.substr(0, at), ':');
        server.user = decoded(who.before);
        server.password = decoded(who.after.value_or(""));
        where = where.substr(at + 1);
    }
    if (auto const plus = halve(where, '+'); plus.after) {
        auto const port = parse_number<std::uint16_t>(plus.before);
        if (!port) return permanent("the DSN's port is no number");
        server.port = *port;
        where = *plus.after;
    }
    server.host = decoded(where);
    return {};
}

Result<> read_options(std::string_view text, Dsn& dsn) {
    for (auto const option : split(text, '?')) {
        auto const halves = halve(option, '=');
        auto const name = trim(halves.before);
        auto const value = trim(halves.after.value_or(""));
        if (equals_ignoring_case(name, "table"))
            dsn.table = value;
        else if (equals_ignoring_case(name, "keycol"))
            dsn.key_column = value;
        else if (equals_ignoring_case(name, "filter"))
            dsn.filter = value;
        else if (equals_ignoring_case(name, "datacol"))
            for (auto const column : split_words(value, ", ")) dsn.data_columns.emplace_back(column);
        else
            return permanent(fmt::format("the DSN has an unknown option \"{}\"", printable(name, 40)));
    }
    return {};
}

class DatabaseSet final : public DataSet {
  public:
    DatabaseSet(Dsn const& dsn, Log& log, Metrics& metrics)
        : dsn_(dsn), statement_(dsn.statement()), pool_(pool_settings(dsn), log, metrics) {}

    Result<std::optional<std::string>> find(std::string_view key) const override {
        auto values = find_all(key);
        if (!values) return std::unexpected(std::move(values.error()));
        if (values->empty()) return std::nullopt;
        return std::move(values->front());
    }

    Result<std::vector<std::string>> find_all(std::string_view key) const override {
        std::string const values[] = {std::string(key)};
        auto const rows = ask(statement_, values);
        if (!rows) return std::unexpected(rows.error());
        std::vector<std::string> out;
        for (auto const& row : rows->rows) out.push_back(joined(row));
        return out;
    }

    Result<std::vector<Hit>> find_in_order(std::span<std::string const> keys,
                                           bool first_only) const override {
        std::vector<Hit> hits;
        for (std::size_t from = 0; from < keys.size(); from += max_keys_at_once) {
            auto const some = keys.subspan(from, std::min(max_keys_at_once, keys.size() - from));
            auto const rows = ask(dsn_.statement_for(some.size()), some);
            if (!rows) return std::unexpected(rows.error());
            for (std::size_t i = 0; i < some.size(); ++i)
                if (auto const row = std::ranges::find_if(rows->rows,
                                                          [&](auto const& each) {
                                                              return equals_ignoring_case(
                                                                  each.front().value_or(""), some[i]);
                                                          });
                    row != rows->rows.end()) {
                    hits.push_back({from + i, joined(std::span(*row).subspan(1))});
                    if (first_only) return hits;
                }
        }
        return hits;
    }

  private:
    Result<sql::Rows> ask(sql::Statement const& statement, std::span<std::string const> values) const {
        auto rows = pool_.query(statement, values, Deadline::after(query_time));
        // What the database refuses is as unknown as what it cannot answer: nothing is sent unsigned for it.
        if (!rows) return temporary("data set: " + rows.error().text);
        return rows;
    }
    static std::string joined(std::span<sql::Value const> row) {
        std::vector<std::string> columns;
        for (auto const& value : row) columns.push_back(value.value_or(""));
        return join(columns, ":");
    }
    static sql::PoolSettings pool_settings(Dsn const& dsn) {
        sql::PoolSettings settings;
        settings.servers = {dsn.server};
        settings.name = "opendkim.conf:" + dsn.table;
        return settings;
    }

    Dsn dsn_;
    sql::Statement statement_;
    mutable sql::Pool pool_; // thread-safe
};

} // namespace

Result<Dsn> Dsn::parse(std::string_view text) {
    Dsn dsn;
    auto const scheme = text.find("://");
    if (scheme == std::string_view::npos)
        return permanent("a DSN begins with mysql://, pgsql:// or sqlite://");
    auto const driver = driver_of(text.substr(0, scheme));
    if (!driver)
        return permanent(fmt::format("the database \"{}\" is not known; use mysql, pgsql or sqlite",
                                     printable(text.substr(0, scheme), 20)));
    dsn.server.driver = *driver;
    auto const rest = text.substr(scheme + 3);
    auto const options = rest.rfind("/table=");
    if (options == std::string_view::npos)
        return permanent("the DSN ends with /table=NAME?keycol=NAME?datacol=NAMES");
    if (auto read = read_server(rest.substr(0, options), dsn.server); !read)
        return std::unexpected(read.error());
    if (auto read = read_options(rest.substr(options + 1), dsn); !read) return std::unexpected(read.error());
    if (dsn.data_columns.empty()) return permanent("the DSN has no datacol");
    if (dsn.key_column.empty()) dsn.key_column = dsn.data_columns.front();
    if (!is_identifier(dsn.table) || !is_identifier(dsn.key_column) ||
        !std::ranges::all_of(dsn.data_columns, is_identifier))
        return permanent("the DSN's table and columns may hold letters, digits, \"_\", \".\" and \"$\"");
    return dsn;
}

sql::Statement Dsn::statement() const {
    sql::Statement made;
    made.fragments = {
        fmt::format("SELECT {} FROM {} WHERE {} = ", join(data_columns, ", "), table, key_column),
        filter.empty() ? std::string() : fmt::format(" AND ({})", filter)};
    return made;
}

sql::Statement Dsn::statement_for(std::size_t keys) const {
    sql::Statement made;
    made.fragments = {fmt::format("SELECT {}, {} FROM {} WHERE {} IN (", key_column, join(data_columns, ", "),
                                  table, key_column)};
    for (std::size_t i = 1; i < keys; ++i) made.fragments.emplace_back(", ");
    made.fragments.push_back(filter.empty() ? ")" : fmt::format(") AND ({})", filter));
    return made;
}

DataSetOpener::Database database_opener(Log& log, Metrics& metrics) {
    return [&log, &metrics](std::string_view text) -> Result<std::unique_ptr<DataSet>> {
        auto const dsn = Dsn::parse(text);
        if (!dsn) return std::unexpected(dsn.error());
        return std::make_unique<DatabaseSet>(*dsn, log, metrics);
    };
}

} // namespace postern::milter_dkim
