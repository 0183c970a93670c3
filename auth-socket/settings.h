// What auth-socket takes from dovecot.conf, and what Dovecot has no word for.
#pragma once

#include "auth-socket/policy/settings.h"
#include "auth-socket/session.h"
#include "auth-socket/users/authenticator.h"
#include "auth-socket/users/cache.h"
#include "auth-socket/users/database.h"
#include "common/config/blocks.h"
#include "common/config/settings.h"
#include "common/net/address.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace postern::auth_socket {

// What a socket speaks. Dovecot 2.3 tells it by the file's name behind the last '-'; 2.4 by "type".
enum class Role { client, login, master, userdb, token, token_login, mux };
Role role_of(std::string_view path);
std::string_view to_string(Role role);

// One unix_listener or inet_listener of "service auth".
struct ListenerSettings {
    net::ListenAddress address;
    Role role = Role::client;
    TemporaryFailure temporary_failure = TemporaryFailure::is_told;
    config::Place place;
};

// auth-socket.conf: what stands in no dovecot.conf.
struct OwnSettings {
    std::optional<net::ListenAddress> metrics_listen;
    std::string user; // empty: as dovecot.conf has it
    bool syslog = true;
    std::string syslog_name = "dovecot";
    std::string temp_fail_close = "auto"; // auto, all, none, or paths
    enum class StockListeners { automatic, yes, no } stock_listeners = StockListeners::automatic;
    unsigned hash_workers = 0; // 0: one for each core
    std::size_t max_connections = 1000;
    bool penalty = true;
    std::optional<net::Address> penalty_redis;
    std::string penalty_redis_user, penalty_redis_password;
    std::string penalty_redis_key = "postern:penalties";
};
config::Table<OwnSettings> const& own_table();
inline constexpr char own_configuration_path[] = "/etc/postern/auth-socket.conf";
std::vector<config::Problem> read_own_settings(std::string const& path, OwnSettings& own);

struct Settings {
    std::string base_dir = "/run/dovecot";
    std::string internal_user = "dovecot"; // default_internal_user
    std::string service_user;              // service auth { user }; empty: the internal one
    std::string syslog_facility = "mail";
    ClientSettings client;
    AuthenticatorSettings authenticator;
    CacheSettings cache;
    PolicySettings policy;
    std::size_t workers = 30;                     // auth_worker_max_count
    std::vector<std::string> unserved_mechanisms; // of auth_mechanisms, in capitals
    std::vector<DatabaseBlock> passdbs, userdbs;
    std::vector<ListenerSettings> listeners;
};
// The settings outside blocks.
config::Table<Settings> const& dovecot_table();

// A socket that somebody else has made.
ListenerSettings listener_on(net::Address const& address, Role role, OwnSettings const& own);

// The auth part of a dovecot.conf that was read; everything else is somebody else's and is passed over.
Settings understand_dovecot(config::Block const& root, OwnSettings const& own,
                            std::vector<config::Problem>& problems);

// Listeners of "service auth" and, where own settings say so, those that Dovecot has without being told.
std::vector<ListenerSettings> understand_listeners(config::Block const& root, Settings const& settings,
                                                   OwnSettings const& own,
                                                   std::vector<config::Problem>& problems);
// dovecot_config_version = 2.4...
bool is_dovecot24(config::Block const& root);
// oauth2 { }: 2.4 checks tokens before any passdb.
void add_dovecot24_tokens(config::Block const& root, Settings& settings,
                          std::vector<config::Problem>& problems);
std::shared_ptr<TokenSettings const> dovecot24_tokens(config::Block const& root, config::Block const* passdb,
                                                      std::vector<config::Problem>& problems);
// passdb { } and userdb { } blocks.
std::vector<DatabaseBlock> understand_databases(config::Block const& root, std::string_view kind,
                                                std::vector<config::Problem>& problems);

} // namespace postern::auth_socket
