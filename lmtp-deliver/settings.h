// What lmtp-deliver takes from dovecot.conf (2.3), and what Dovecot has no word for.
#pragma once

#include "common/config/blocks.h"
#include "common/config/settings.h"
#include "common/net/address.h"
#include "lmtp-deliver/planner.h"
#include "lmtp-deliver/session.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace postern::lmtp_deliver {

inline constexpr char own_configuration_path[] = "/etc/postern/lmtp-deliver.conf";
inline constexpr char dovecot_configuration_path[] = "/etc/dovecot/dovecot.conf";

// lmtp-deliver.conf.
struct OwnSettings {
    std::optional<net::ListenAddress> metrics_listen;
    std::vector<net::ListenAddress> listen; // besides those of dovecot.conf
    std::string auth_userdb;                // a socket address; empty: auth_socket_path of dovecot.conf
    std::string user;                       // "user[:group]" or "root"; empty: mail_uid and mail_gid
    std::uint64_t max_message_size = 0;
    std::size_t max_connections = 200;
    std::chrono::milliseconds idle_timeout = std::chrono::minutes(5);
    std::chrono::milliseconds userdb_timeout = std::chrono::seconds(30);
    std::size_t spool_memory = 131072;
    bool syslog = true;
    std::string syslog_name = "dovecot";
};
config::Table<OwnSettings> const& own_table();

struct Settings {
    std::string base_dir = "/run/dovecot";
    std::string auth_socket_path = "auth-userdb";
    std::string internal_user = "dovecot"; // default_internal_user
    std::string syslog_facility = "mail";
    std::string mail_user;  // mail_uid as written
    std::string mail_group; // mail_gid as written
    std::string mail_plugins;
    SessionSettings session;
    MailSettings mail;
    std::vector<net::ListenAddress> listeners;
};
// The settings outside blocks, and in protocol lmtp { }.
config::Table<Settings> const& dovecot_table();

struct Configuration {
    OwnSettings own;
    Settings settings;
    std::vector<config::Problem> problems; // of both files; with an error the rest is not to be used

    net::Address userdb_address() const;
    // Several uids are served: a broker stays root, and the rest of the daemon becomes Dovecot's own user,
    // who may ask the user database about everybody.
    bool needs_broker() const;
    // Whom the daemon becomes after opening its sockets; empty: it stays who it is.
    std::string process_user() const;
};

// Names that belong to other parts of Dovecot are passed over in silence.
Settings understand_dovecot(config::Block const& root, OwnSettings const& own,
                            std::vector<config::Problem>& problems);
std::vector<net::ListenAddress> understand_listeners(config::Block const& root, Settings const& settings,
                                                     std::vector<config::Problem>& problems);
// own_file: absent means own_configuration_path if it is there.
Configuration read_configuration(std::string const& dovecot_conf, std::optional<std::string> const& own_file);

std::string settings_defaults(); // both tables, for --print-defaults

} // namespace postern::lmtp_deliver
