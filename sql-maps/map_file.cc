// One settings table for the three kinds of .cf files, and the hosts in the words of each driver.
#include "sql-maps/map_file.h"

#include "common/base/text.h"
#include "common/config/assignments.h"

#include <fmt/format.h>

#include <climits>

namespace postern::sql_maps {

namespace {

using sql::Driver;

// The file as it stands, before host and query are put together.
struct Raw {
    MapFile file;
    std::string hosts, user, password, dbname, dbpath;
    std::string table, select_field, where_field, additional_conditions, select_function;
    bool query_given = false;
    std::vector<std::pair<std::string, std::string>> options; // for the driver
};

template <std::string Raw::* field>
Result<> text(Raw& raw, std::string_view value) {
    raw.*field = value;
    return {};
}

template <std::chrono::seconds MapFile::* field>
Result<> seconds(Raw& raw, std::string_view value) {
    auto const span = config::parse_integer(value, 1, INT_MAX);
    if (!span) return std::unexpected(span.error());
    raw.file.*field = std::chrono::seconds(*span);
    return {};
}

Result<> query(Raw& raw, std::string_view value) {
    raw.file.query = value;
    raw.query_given = true;
    return {};
}

Result<> result_format(Raw& raw, std::string_view value) {
    if (value.empty()) return permanent("must not be empty");
    raw.file.result_format = value;
    return {};
}

Result<> domain(Raw& raw, std::string_view value) {
    raw.file.domain = value;
    return {};
}

Result<> expansion_limit(Raw& raw, std::string_view value) {
    auto const limit = config::parse_integer(value, 0, INT_MAX);
    if (!limit) return std::unexpected(limit.error());
    raw.file.expansion_limit = *limit;
    return {};
}

Result<> require_result_set(Raw& raw, std::string_view value) {
    auto const yes = config::parse_boolean(value);
    if (!yes) return std::unexpected(yes.error());
    raw.file.require_result_set = *yes;
    return {};
}

template <std::size_t size>
struct Name {
    constexpr Name(char const (&from)[size]) { std::copy_n(from, size, text); }
    char text[size];
};

template <Name name>
Result<> option(Raw& raw, std::string_view value) {
    raw.options.emplace_back(name.text, value);
    return {};
}

Result<> tls_verify_cert(Raw& raw, std::string_view value) {
    auto const yes = config::parse_boolean(value);
    if (!yes) return std::unexpected(yes.error());
    raw.options.emplace_back("tls_verify_cert", *yes ? "yes" : "no");
    return {};
}

config::Table<Raw> table_of(Driver driver) {
    std::vector<config::Setting<Raw>> rows = {
        {"query", "", "", query},
        {"result_format", "%s", "", result_format},
        {"domain", "", "", domain},
        {"expansion_limit", "0", "", expansion_limit},
        {"table", "", "", text<&Raw::table>},
        {"select_field", "", "", text<&Raw::select_field>},
        {"where_field", "", "", text<&Raw::where_field>},
        {"additional_conditions", "", "", text<&Raw::additional_conditions>},
    };
    if (driver == Driver::sqlite) {
        rows.push_back({"dbpath", "", "", text<&Raw::dbpath>});
        return {std::move(rows), config::NameCase::exact};
    }
    rows.push_back({"hosts", "localhost", "", text<&Raw::hosts>});
    rows.push_back({"user", "", "", text<&Raw::user>});
    rows.push_back({"password", "", "", text<&Raw::password>});
    rows.push_back({"dbname", "", "", text<&Raw::dbname>});
    rows.push_back({"idle_interval", "60", "", seconds<&MapFile::idle_interval>});
    rows.push_back({"retry_interval", "60", "", seconds<&MapFile::retry_interval>});
    if (driver == Driver::postgresql) {
        rows.push_back({"select_function", "", "", text<&Raw::select_function>});
        rows.push_back({"encoding", "UTF8", "", option<"client_encoding">});
        return {std::move(rows), config::NameCase::exact};
    }
    rows.push_back({"charset", "utf8mb4", "", option<"charset">});
    rows.push_back({"option_file", "", "", option<"option_file">});
    rows.push_back({"option_group", "client", "", option<"option_group">});
    rows.push_back({"tls_cert_file", "", "", option<"tls_cert_file">});
    rows.push_back({"tls_key_file", "", "", option<"tls_key_file">});
    rows.push_back({"tls_CAfile", "", "", option<"tls_CAfile">});
    rows.push_back({"tls_CApath", "", "", option<"tls_CApath">});
    rows.push_back({"tls_ciphers", "", "", option<"tls_ciphers">});
    rows.push_back({"tls_verify_cert", "no", "", tls_verify_cert});
    rows.push_back({"require_result_set", "yes", "", require_result_set});
    return {std::move(rows), config::NameCase::exact};
}

// "unix:/path", "inet:host:port", "host:port", "[2001:db8::1]:port", "/directory", "postgresql://...".
Result<sql::ServerSettings> server_of(std::string_view host, Driver driver) {
    sql::ServerSettings server;
    server.driver = driver;
    if (driver == Driver::postgresql && (host.starts_with("postgresql:") || host.starts_with("postgres:"))) {
        server.host = host;
        return server;
    }
    if (host.starts_with("unix:") || host.starts_with("inet:")) host.remove_prefix(5);
    auto const [name, port] = halve_at_last(host, ':');
    bool const bare_ipv6 = host.ends_with(']') || (port && name.contains(':') && !name.ends_with(']'));
    if (port && !bare_ipv6) {
        auto const number = parse_number<std::uint16_t>(*port);
        if (!number || *number == 0)
            return permanent(fmt::format("\"{}\": the port is not a number from 1 to 65535", host));
        server.port = *number;
        host = name;
    }
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    server.host = host;
    return server;
}

Result<std::vector<sql::ServerSettings>> servers_of(Raw const& raw, Driver driver) {
    std::vector<sql::ServerSettings> servers;
    auto const hosts = driver == Driver::sqlite ? std::string("file") : raw.hosts;
    auto words = split_words(hosts, " ,\t\r\n");
    if (words.empty()) words.push_back("localhost");
    for (auto const word : words) {
        auto server = server_of(word, driver);
        if (!server) return std::unexpected(std::move(server).error());
        if (driver == Driver::sqlite) server->host.clear();
        server->user = raw.user;
        server->password = raw.password;
        server->database = driver == Driver::sqlite ? raw.dbpath : raw.dbname;
        server->options = raw.options;
        if (driver == Driver::postgresql && server->option("client_encoding").empty())
            server->options.emplace_back("client_encoding", "UTF8");
        servers.push_back(std::move(*server));
    }
    return servers;
}

Result<std::string> legacy_query(Raw const& raw) {
    if (!raw.select_function.empty()) return fmt::format("SELECT {}('%s')", raw.select_function);
    if (raw.table.empty()) return permanent("neither \"query\" nor \"table\" is set");
    if (raw.select_field.empty()) return permanent("\"table\" is set, but \"select_field\" is not");
    if (raw.where_field.empty()) return permanent("\"table\" is set, but \"where_field\" is not");
    return fmt::format("SELECT {} FROM {} WHERE {}='%s' {}", raw.select_field, raw.table, raw.where_field,
                       raw.additional_conditions);
}

} // namespace

std::string MapFile::table() const { return fmt::format("{}:{}", sql::to_string(driver), path); }

std::optional<Driver> driver_by_name(std::string_view type) {
    for (auto const driver : {Driver::postgresql, Driver::mariadb, Driver::sqlite})
        if (type == sql::to_string(driver)) return driver;
    return std::nullopt;
}

std::optional<TableName> parse_table_name(std::string_view table) {
    auto const [type, path] = halve(table, ':');
    auto const driver = driver_by_name(type);
    if (!driver || !path) return std::nullopt;
    return TableName{*driver, std::string(*path)};
}

MapFileResult parse_map_file(std::string_view content, Driver driver, std::string const& path) {
    auto read = config::parse_assignments(content, path, config::postfix_style);
    MapFileResult result;
    auto& problems = result.problems;
    problems = std::move(read.problems);
    Raw raw;
    auto found = table_of(driver).apply(raw, read.assignments);
    // Postfix passes over names that it does not know, so they never stop a table.
    for (auto& problem : found)
        if (problem.text.starts_with("unknown setting"))
            problem.severity = config::Problem::Severity::warning;
    problems.insert(problems.end(), found.begin(), found.end());
    auto const error = [&](std::string text) {
        problems.push_back({config::Problem::Severity::error, {path, 0}, std::move(text)});
    };
    auto servers = servers_of(raw, driver);
    if (!servers)
        error("hosts: " + servers.error().text);
    else if (servers->front().database.empty())
        error(driver == Driver::sqlite ? "\"dbpath\" is not set" : "\"dbname\" is not set");
    else
        raw.file.servers = std::move(*servers);
    if (!raw.query_given) {
        auto made = legacy_query(raw);
        if (made)
            raw.file.query = std::move(*made);
        else
            error(made.error().text);
    }
    raw.file.driver = driver;
    raw.file.path = path;
    result.file = std::move(raw.file);
    return result;
}

} // namespace postern::sql_maps
