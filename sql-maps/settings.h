// sql-maps.conf.
#pragma once

#include "common/config/settings.h"
#include "common/net/address.h"
#include "sql-maps/maps.h"
#include "sql-maps/search.h"
#include "sql-maps/session.h"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postern::sql_maps {

inline constexpr std::string_view default_configuration = "/etc/postern/sql-maps.conf";

enum class Greeting { automatic, yes, no };

struct Settings {
    std::optional<net::ListenAddress> proxymap_listen;
    std::optional<net::ListenAddress> socketmap_listen;
    std::optional<net::ListenAddress> tcp_table_listen;
    std::optional<net::ListenAddress> metrics_listen;
    std::string stock_proxymap = "unix:/var/spool/postfix/private/proxymap";
    Greeting proxymap_greeting = Greeting::automatic;
    std::string postfix_config_directory; // for postconf(1); empty: Postfix's own default
    MapLimits limits;
    SearchRules rules;
    std::string tcp_table_map;
    int max_connections = 1000; // of each listener
    std::string user = "postfix";
    std::string pid_file;
    bool syslog = true;
    std::string syslog_facility = "mail";
    std::string syslog_name = "sql-maps";
    bool debug = false;
    NamedMaps maps; // map_NAME
};

struct SettingsResult {
    Settings settings;
    std::vector<config::Problem> problems;
};

SettingsResult read_settings(std::string const& path);
SettingsResult parse_settings(std::string_view text, std::string const& file);

std::string settings_defaults(); // for --print-defaults

} // namespace postern::sql_maps
