// The one table of sql-maps.conf's names.
#include "sql-maps/settings.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/config/assignments.h"

#include <fmt/format.h>

namespace postern::sql_maps {

namespace {

// Postfix's own sockets are open to everybody, below a directory that only Postfix may enter.
constexpr unsigned default_socket_mode = 0666;
constexpr std::string_view map_prefix = "map_";

template <std::optional<net::ListenAddress> Settings::* field>
Result<> listen(Settings& settings, std::string_view value) {
    if (value.empty()) {
        (settings.*field).reset();
        return {};
    }
    auto address = net::parse_listen_address(value);
    if (!address) return std::unexpected(std::move(address).error());
    bool const socket = address->address.kind == net::Address::Kind::unix_socket;
    if (socket && !address->mode) address->mode = default_socket_mode;
    settings.*field = std::move(*address);
    return {};
}

template <auto field>
Result<> text(Settings& settings, std::string_view value) {
    settings.*field = value;
    return {};
}

template <bool Settings::* field>
Result<> boolean(Settings& settings, std::string_view value) {
    auto const yes = config::parse_boolean(value);
    if (!yes) return std::unexpected(yes.error());
    settings.*field = *yes;
    return {};
}

template <std::chrono::milliseconds MapLimits::* field>
Result<> duration(Settings& settings, std::string_view value) {
    auto const span = parse_duration(value);
    if (!span || span->count() <= 0 || *span > std::chrono::hours(1))
        return permanent(fmt::format("\"{}\" is not a time from 1ms to 1h", printable(value, 64)));
    settings.limits.*field = *span;
    return {};
}

// 0 turns it off.
template <std::chrono::milliseconds CacheSettings::* field>
Result<> remembered(Settings& settings, std::string_view value) {
    auto const span = parse_duration(value);
    if (!span || span->count() < 0 || *span > std::chrono::days(7))
        return permanent(fmt::format("\"{}\" is not a time from 0 to 7d", printable(value, 64)));
    settings.limits.cache.*field = *span;
    return {};
}

Result<> cache_size(Settings& settings, std::string_view value) {
    auto const size = config::parse_integer(value, 1, 10'000'000);
    if (!size) return std::unexpected(size.error());
    settings.limits.cache.size = static_cast<std::size_t>(*size);
    return {};
}

Result<> cache_tables(Settings& settings, std::string_view value) {
    settings.limits.cache_tables.clear();
    for (auto const word : split_words(value, ", \t")) {
        if (!parse_table_name(word))
            return permanent(
                fmt::format("\"{}\" is not pgsql:/PATH, mysql:/PATH or sqlite:/PATH", printable(word)));
        settings.limits.cache_tables.emplace_back(word);
    }
    return {};
}

Result<> cache_flush_channel(Settings& settings, std::string_view value) {
    // NAMEDATALEN: PostgreSQL would cut a longer name short.
    if (value.size() > 63) return permanent("must not be longer than 63 octets");
    settings.limits.cache_flush_channel = value;
    return {};
}

Result<> stock_proxymap(Settings& settings, std::string_view value) {
    if (!value.empty())
        if (auto const address = net::parse_address(value); !address) return std::unexpected(address.error());
    settings.stock_proxymap = value;
    return {};
}

Result<> proxymap_greeting(Settings& settings, std::string_view value) {
    if (equals_ignoring_case(value, "auto")) {
        settings.proxymap_greeting = Greeting::automatic;
        return {};
    }
    auto const yes = config::parse_boolean(value);
    if (!yes) return permanent(fmt::format("\"{}\" is none of auto, yes, no", printable(value, 64)));
    settings.proxymap_greeting = *yes ? Greeting::yes : Greeting::no;
    return {};
}

Result<> map_directories(Settings& settings, std::string_view value) {
    settings.limits.directories.clear();
    for (auto const word : split_words(value, ", \t")) {
        if (!word.starts_with('/'))
            return permanent(fmt::format("\"{}\" is not an absolute path", printable(word)));
        settings.limits.directories.emplace_back(word);
    }
    return {};
}

Result<> pool_size(Settings& settings, std::string_view value) {
    auto const size = config::parse_integer(value, 1, 1000);
    if (!size) return std::unexpected(size.error());
    settings.limits.pool_size = static_cast<std::size_t>(*size);
    return {};
}

Result<> max_connections(Settings& settings, std::string_view value) {
    auto const size = config::parse_integer(value, 1, 100'000);
    if (!size) return std::unexpected(size.error());
    settings.max_connections = *size;
    return {};
}

Result<> recipient_delimiter(Settings& settings, std::string_view value) {
    settings.rules.recipient_delimiter = value;
    return {};
}

Result<> local_domains(Settings& settings, std::string_view value) {
    settings.rules.local_domains.clear();
    for (auto const word : split_words(value, ", \t")) settings.rules.local_domains.emplace_back(word);
    return {};
}

Result<> syslog_facility(Settings& settings, std::string_view value) {
    if (!is_log_facility(value)) return permanent(fmt::format("\"{}\" is no facility", printable(value, 64)));
    settings.syslog_facility = value;
    return {};
}

config::Table<Settings> table() {
    std::vector<config::Setting<Settings>> rows = {
        {"proxymap_listen", "", "Socket for Postfix's proxymap clients, below queue_directory/private.",
         listen<&Settings::proxymap_listen>},
        {"socketmap_listen", "", "Socket for socketmap: tables.", listen<&Settings::socketmap_listen>},
        {"tcp_table_listen", "", "Socket for tcp: tables; it serves tcp_table_map.",
         listen<&Settings::tcp_table_listen>},
        {"tcp_table_map", "",
         "Which map_NAME the tcp_table socket serves; may be left out when there is one.",
         text<&Settings::tcp_table_map>},
        {"stock_proxymap", "unix:/var/spool/postfix/private/proxymap",
         "Where tables of other kinds are passed on; empty: they are refused.", stock_proxymap},
        {"proxymap_greeting", "auto",
         "Whether clients wait for a greeting: yes for Postfix 3.6 and later, no for older ones, auto "
         "asks "
         "postconf once at the start.",
         proxymap_greeting},
        {"postfix_config_directory", "", "Postfix's configuration directory, for postconf.",
         text<&Settings::postfix_config_directory>},
        {"map_directories", "/etc/postfix", "Directories below which .cf files may be named.",
         map_directories},
        {"pool_size", "8", "Database connections for each set of servers.", pool_size},
        {"connect_timeout", "3s",
         "Time for making one database connection, with the lookup of its host's name.",
         duration<&MapLimits::connect_timeout>},
        {"query_timeout", "10s", "Time for a whole lookup: waiting for a connection, connecting and asking.",
         duration<&MapLimits::query_timeout>},
        {"serve_stale", "0",
         "While the database is away, answer what was known this long ago; 0: temporary errors.",
         remembered<&CacheSettings::stale>},
        {"cache_ttl", "0", "How long a value found is given out without asking again; 0: no cache.",
         remembered<&CacheSettings::positive>},
        {"cache_negative_ttl", "0", "How long \"not found\" is given out without asking again; 0: no cache.",
         remembered<&CacheSettings::negative>},
        {"cache_size", "10000", "Keys remembered of each table.", cache_size},
        {"cache_tables", "", "Tables with a cache, as TYPE:/PATH.cf; empty: all.", cache_tables},
        {"cache_flush_channel", "",
         "Channel of PostgreSQL's NOTIFY that empties the caches of its database; empty: none.",
         cache_flush_channel},
        {"recipient_delimiter", "", "As in main.cf; for the partial keys of socketmap and tcp_table.",
         recipient_delimiter},
        {"local_domains", "",
         "Domains whose users are also looked up without domain (myorigin and mydestination); for the "
         "partial keys of socketmap and tcp_table.",
         local_domains},
        {"max_connections", "1000", "Clients of each socket at a time.", max_connections},
        {"metrics_listen", "", "Socket for Prometheus (GET /metrics).", listen<&Settings::metrics_listen>},
        {"user", "postfix", "User to become after the sockets are open: Postfix's mail_owner.",
         text<&Settings::user>},
        {"pid_file", "", "Where the process id is written.", text<&Settings::pid_file>},
        {"syslog", "yes", "Log to syslog; no: standard error.", boolean<&Settings::syslog>},
        {"syslog_facility", "mail", "Syslog facility.", syslog_facility},
        {"syslog_name", "sql-maps", "Name of the log lines.", text<&Settings::syslog_name>},
        {"debug", "no", "Log more.", boolean<&Settings::debug>},
    };
    return {std::move(rows), config::NameCase::exact};
}

// "map_NAME = pgsql:/etc/postfix/x.cf class"
Result<NamedMap> parse_map(std::string_view value) {
    auto const words = split_words(value);
    if (words.empty() || words.size() > 2) return permanent("must be \"TYPE:/PATH.cf CLASS\"");
    if (!parse_table_name(words[0]))
        return permanent(
            fmt::format("\"{}\" is not pgsql:/PATH, mysql:/PATH or sqlite:/PATH", printable(words[0])));
    auto const map_class = parse_map_class(words.size() == 2 ? words[1] : "plain");
    if (!map_class)
        return permanent(
            fmt::format("unknown class \"{}\"; known are {}", printable(words[1], 64), map_class_names()));
    return NamedMap{std::string(words[0]), *map_class};
}

// Takes the map_NAME lines out of the assignments.
void take_maps(std::vector<config::Assignment>& assignments, SettingsResult& result) {
    auto const rows = table();
    std::erase_if(assignments, [&](config::Assignment const& line) {
        if (!line.name.starts_with(map_prefix) || rows.find(line.name) != nullptr) return false;
        auto map = parse_map(line.value);
        if (map)
            result.settings.maps[line.name.substr(map_prefix.size())] = std::move(*map);
        else
            result.problems.push_back({config::Problem::Severity::error, line.place,
                                       fmt::format("{}: {}", line.name, map.error().text)});
        return true;
    });
}

void check_together(SettingsResult& result, std::string const& file) {
    auto& settings = result.settings;
    auto const error = [&](std::string text) {
        result.problems.push_back({config::Problem::Severity::error, {file, 0}, std::move(text)});
    };
    if (settings.tcp_table_map.empty() && settings.maps.size() == 1)
        settings.tcp_table_map = settings.maps.begin()->first;
    if (!settings.proxymap_listen && !settings.socketmap_listen && !settings.tcp_table_listen)
        error("none of proxymap_listen, socketmap_listen and tcp_table_listen is set");
    if (settings.socketmap_listen && settings.maps.empty())
        error("socketmap_listen is set, but there is no map_NAME line");
    if (settings.tcp_table_listen && !settings.maps.contains(settings.tcp_table_map))
        error("tcp_table_listen is set, but tcp_table_map does not name one of the map_NAME lines");
    auto const stock = net::parse_address(settings.stock_proxymap);
    if (stock && settings.proxymap_listen &&
        settings.proxymap_listen->address.to_string() == stock->to_string())
        error(
            "proxymap_listen and stock_proxymap are the same socket: give the stock service another name in "
            "master.cf (proxymap-stock, running \"proxymap -n proxymap\") and set stock_proxymap to it");
}

SettingsResult apply(config::ReadResult read, std::string const& file) {
    SettingsResult result;
    result.problems = std::move(read.problems);
    take_maps(read.assignments, result);
    auto found = table().apply(result.settings, read.assignments);
    result.problems.insert(result.problems.end(), found.begin(), found.end());
    if (!config::has_errors(result.problems)) check_together(result, file);
    return result;
}

} // namespace

SettingsResult read_settings(std::string const& path) {
    return apply(config::read_assignments(path, config::postfix_style), path);
}

SettingsResult parse_settings(std::string_view content, std::string const& file) {
    return apply(config::parse_assignments(content, file, config::postfix_style), file);
}

std::string settings_defaults() {
    auto const rows = table(); // the text below is made of views into it
    return config::defaults_text(config::default_rows(rows), config::FileStyle::assignments) +
           "\n# A table for socketmap and tcp_table clients, with the class that decides its partial keys.\n"
           "# map_NAME = pgsql:/etc/postfix/x.cf virtual\n";
}

} // namespace postern::sql_maps
