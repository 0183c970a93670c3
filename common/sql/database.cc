// What the drivers share: placeholders, escaping, and the choice of a driver.
#include "common/sql/database.h"

#include "common/base/host_address.h"
#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::sql {

namespace {

// mysql_escape_string(3), for an ASCII-compatible character set.
std::string escape_mariadb(std::string_view text) {
    std::string out;
    for (char const c : text) switch (c) {
        case '\0': out += "\\0"; break;
        case '\n': out += "\\n"; break;
        case '\r': out += "\\r"; break;
        case '\x1a': out += "\\Z"; break;
        case '\\':
        case '\'':
        case '"': out += '\\'; [[fallthrough]];
        default: out += c;
        }
    return out;
}

} // namespace

Result<> Connection::query_all(std::span<Query const> queries, Answers& answers) {
    return one_by_one(queries, answers, [this](Query const& query, std::function<void()> const&) {
        return this->query(*query.statement, query.values, query.deadline);
    });
}

Result<> Connection::one_by_one(std::span<Query const> queries, Answers& answers, AskOne const& ask) {
    auto count = queries.size();
    for (std::size_t i = 0; i < count; ++i) {
        auto rows = ask(queries[i], [&] {
            std::vector<std::size_t> rest;
            for (auto next = i + 1; next < count; ++next) rest.push_back(next);
            count = i + 1;
            if (!rest.empty()) answers.take_back(std::move(rest));
        });
        if (!rows && rows.error().kind == ErrorKind::temporary)
            return std::unexpected(std::move(rows).error());
        answers.answer(i, std::move(rows));
    }
    return {};
}

std::string ServerSettings::option(std::string_view name) const {
    std::string found;
    for (auto const& [key, value] : options)
        if (key == name) found = value;
    return found;
}

std::string ServerSettings::to_string() const {
    if (driver == Driver::sqlite) return database;
    // A URI may hold a password: only what stands behind the '@' is shown.
    if (auto const scheme = host.find("://"); scheme != std::string::npos) {
        auto const start = scheme + 3;
        auto const at = host.find('@', start);
        auto const rest = host.substr(at == std::string::npos ? start : at + 1);
        return host.substr(0, start) + rest.substr(0, rest.find('?'));
    }
    return port == 0 ? host : fmt::format("{}:{}", host, port);
}

std::vector<std::string> ServerSettings::host_names() const {
    if (driver == Driver::sqlite || !option("hostaddr").empty()) return {};
    auto const scheme = host.find("://");
    auto list = std::string_view(host).substr(scheme == std::string::npos ? 0 : scheme + 3);
    if (scheme != std::string::npos) {
        list = list.substr(0, list.find_first_of("/?"));
        if (auto const at = list.rfind('@'); at != std::string_view::npos) list.remove_prefix(at + 1);
    }
    std::vector<std::string> names;
    for (auto const entry : split(list, ',')) {
        auto const name = scheme == std::string::npos ? entry : entry.substr(0, entry.find(':'));
        bool const is_other = name.empty() || name == "localhost" || name.find_first_of("/[%") == 0;
        if (!is_other) names.emplace_back(name);
    }
    return names;
}

std::string_view to_string(Driver driver) {
    switch (driver) {
    case Driver::postgresql: return "pgsql";
    case Driver::mariadb: return "mysql";
    case Driver::sqlite: return "sqlite";
    }
    return "";
}

std::string escape(Driver driver, std::string_view text) {
    if (driver == Driver::mariadb) return escape_mariadb(text);
    std::string out;
    for (char const c : text) {
        if (c == '\'') out += c;
        out += c;
    }
    return out;
}

std::string with_placeholders(Statement const& statement, Driver driver) {
    std::string out = statement.fragments.front();
    for (std::size_t i = 1; i < statement.fragments.size(); ++i) {
        // Blanks keep the placeholder apart from what follows the literal directly: 'x'AND is legal SQL.
        out += driver == Driver::postgresql ? fmt::format(" ${} ", i) : std::string(" ? ");
        out += statement.fragments[i];
    }
    return out;
}

// The libraries ask the DNS for as long as resolv.conf(5) says, and no deadline interrupts them. So it is
// asked here first, where the wait can be left; right after an answer, theirs comes quickly.
Result<> is_resolved(ServerSettings const& server, Deadline deadline) {
    auto const names = server.host_names();
    for (auto const& name : names) {
        auto const address = host_address(name, deadline);
        // Of several hosts the library takes another one, as long as there is time.
        if (!address && (names.size() == 1 || deadline.expired())) return std::unexpected(address.error());
    }
    return {};
}

Result<std::unique_ptr<Connection>> connect(ServerSettings const& server, Deadline deadline) {
    if (auto resolved = is_resolved(server, deadline); !resolved)
        return std::unexpected(std::move(resolved).error());
    switch (server.driver) {
    case Driver::postgresql: return connect_postgresql(server, deadline);
    case Driver::mariadb: return connect_mariadb(server, deadline);
    case Driver::sqlite: return connect_sqlite(server, deadline);
    }
    return permanent("unknown database driver");
}

} // namespace postern::sql
