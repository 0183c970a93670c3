// dovecot-sql.conf.ext: driver, connect, queries.
#include "auth-socket/users/sql.h"

#include "auth-socket/schemes/scheme.h"
#include "common/base/text.h"
#include "common/config/assignments.h"

#include <array>

namespace postern::auth_socket {

namespace {

using config::Problem;

// Numbers and passwords with blanks: name=value, value in '...' with backslash escapes (libpq's rules).
std::vector<std::pair<std::string, std::string>> connect_words(std::string_view text) {
    std::vector<std::pair<std::string, std::string>> words;
    std::size_t at = 0;
    while (true) {
        while (at < text.size() && is_space(text[at])) ++at;
        if (at == text.size()) return words;
        auto const equals = text.find('=', at);
        std::string name(trim(text.substr(at, equals - at))), value;
        at = equals == std::string_view::npos ? text.size() : equals + 1;
        auto const quoted = at < text.size() && text[at] == '\'';
        if (quoted) ++at;
        for (; at < text.size() && (quoted ? text[at] != '\'' : !is_space(text[at])); ++at) {
            if (quoted && text[at] == '\\' && at + 1 < text.size()) ++at;
            value += text[at];
        }
        if (quoted && at < text.size()) ++at;
        words.emplace_back(std::move(name), std::move(value));
    }
}

// Dovecot's names for MariaDB's options, and those of common/sql.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> mariadb_options{{
    {"ssl_cert", "tls_cert_file"},
    {"ssl_key", "tls_key_file"},
    {"ssl_ca", "tls_CAfile"},
    {"ssl_ca_path", "tls_CApath"},
    {"ssl_cipher", "tls_ciphers"},
    {"ssl_verify_server_cert", "tls_verify_cert"},
    {"option_file", "option_file"},
    {"option_group", "option_group"},
    {"charset", "charset"},
}};

Result<> take_word(std::string const& name, std::string const& value, sql::Driver driver,
                   sql::ServerSettings& server, std::vector<std::string>& hosts, sql::PoolSettings& pool) {
    if (name == "host" || name == "hostaddr") {
        for (auto const host : split_words(value, ",")) hosts.emplace_back(host);
    } else if (name == "user") {
        server.user = value;
    } else if (name == "password") {
        server.password = value;
    } else if (name == "dbname") {
        server.database = value;
    } else if (name == "port") {
        auto const port = parse_number<std::uint16_t>(value);
        if (!port) return permanent("port=" + value + " is not a port");
        server.port = *port;
    } else if (name == "maxconns") {
        auto const count = parse_number<std::size_t>(value);
        if (!count || *count == 0) return permanent("maxconns=" + value + " is not a number");
        pool.size = *count;
    } else if (name == "connect_timeout") {
        auto const seconds = parse_number<unsigned>(value);
        if (!seconds) return permanent("connect_timeout=" + value + " is not a number");
        if (*seconds > 0)
            pool.connect_timeout = std::min(pool.connect_timeout, std::chrono::milliseconds(1000) * *seconds);
    } else if (driver == sql::Driver::postgresql) {
        server.options.emplace_back(name, value);
    } else {
        for (auto const& [dovecots, ours] : mariadb_options)
            if (dovecots == name) server.options.emplace_back(ours, value);
    }
    return {};
}

std::optional<sql::Driver> driver_named(std::string_view name) {
    if (name == "pgsql") return sql::Driver::postgresql;
    if (name == "mysql") return sql::Driver::mariadb;
    if (name == "sqlite") return sql::Driver::sqlite;
    return std::nullopt;
}

constexpr std::array known_names{
    "driver",     "connect",      "default_pass_scheme", "password_query",
    "user_query", "update_query", "iterate_query",       "userdb_warning_disable"};

std::optional<SqlSettings> understand(config::ReadResult const& read, std::string const& file,
                                      std::vector<Problem>& problems) {
    auto const before = problems.size();
    problems.insert(problems.end(), read.problems.begin(), read.problems.end());
    if (config::has_errors(read.problems)) return std::nullopt;
    SqlSettings settings;
    std::optional<sql::Driver> driver;
    std::optional<config::Assignment> connect;
    for (auto const& each : read.assignments) {
        if (each.name == "driver") {
            driver = driver_named(each.value);
            if (!driver)
                problems.push_back({Problem::Severity::error, each.place,
                                    "driver = " + each.value + ": must be pgsql, mysql or sqlite"});
        } else if (each.name == "connect") {
            connect = each;
        } else if (each.name == "default_pass_scheme") {
            settings.default_scheme = each.value;
            // Passwords with a scheme of their own do without it.
            if (auto const known = check_scheme(each.value); !known)
                problems.push_back(
                    {Problem::Severity::warning, each.place, each.name + ": " + known.error().text});
        } else if (each.name == "password_query") {
            settings.password_query = each.value;
            settings.password_place = each.place;
        } else if (each.name == "user_query") {
            settings.user_query = each.value;
            settings.user_place = each.place;
        } else if (each.name == "iterate_query") {
            settings.iterate_query = each.value;
            settings.iterate_place = each.place;
        } else if (each.name == "update_query") {
            problems.push_back({Problem::Severity::warning, each.place,
                                "update_query has no effect: one-time passwords are not stepped on"});
        } else if (each.name != "userdb_warning_disable") {
            std::vector<std::string_view> const known(known_names.begin(), known_names.end());
            problems.push_back(
                {Problem::Severity::error, each.place, config::unknown_setting(each.name, known)});
        }
    }
    config::Place const whole{file, 0};
    if (!driver && !config::has_errors(problems))
        problems.push_back({Problem::Severity::error, whole, "driver is not set: pgsql, mysql or sqlite"});
    if (!connect) problems.push_back({Problem::Severity::error, whole, "connect is not set"});
    if (driver && connect) {
        settings.pool.name = file;
        if (auto const done = read_connect(connect->value, *driver, settings.pool); !done)
            problems.push_back({Problem::Severity::error, connect->place, "connect: " + done.error().text});
    }
    std::vector<Problem> const mine(problems.begin() + static_cast<std::ptrdiff_t>(before), problems.end());
    if (config::has_errors(mine)) return std::nullopt;
    return settings;
}

} // namespace

Result<> read_connect(std::string_view connect, sql::Driver driver, sql::PoolSettings& pool) {
    sql::ServerSettings server;
    server.driver = driver;
    if (driver == sql::Driver::sqlite) {
        server.database = trim(connect);
        if (server.database.empty()) return permanent("the database file is missing");
        pool.servers = {server};
        return {};
    }
    std::vector<std::string> hosts;
    for (auto const& [name, value] : connect_words(connect))
        if (auto done = take_word(name, value, driver, server, hosts, pool); !done) return done;
    if (hosts.empty()) hosts.emplace_back();
    for (auto const& host : hosts) {
        pool.servers.push_back(server);
        pool.servers.back().host = host;
    }
    return {};
}

std::optional<SqlSettings> read_sql_settings(std::string const& path,
                                             std::vector<config::Problem>& problems) {
    return understand(config::read_assignments(path, config::dovecot_sql_style), path, problems);
}

std::optional<SqlSettings> parse_sql_settings(std::string_view text, std::string const& file,
                                              std::vector<config::Problem>& problems) {
    return understand(config::parse_assignments(text, file, config::dovecot_sql_style), file, problems);
}

} // namespace postern::auth_socket
