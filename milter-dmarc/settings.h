// opendmarc.conf as values: one table makes the reader, the sample file and the manual's options.
#pragma once

#include "common/config/settings.h"
#include "common/net/address.h"
#include "milter-dmarc/discovery.h"

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dmarc {

struct Settings {
    // What is answered and believed.
    std::string authserv_id; // empty: the MTA's macro j
    bool authserv_id_with_job_id = false;
    std::vector<std::string> trusted_authserv_ids; // besides our own
    bool spf_ignore_results = false;
    bool spf_self_validate = false;
    bool trust_received_spf = true;

    // Whose mail is passed over.
    std::string ignore_hosts; // a file; empty: 127.0.0.1
    bool ignore_authenticated_clients = false;
    std::vector<std::string> ignore_mail_from; // normalised domains

    // What happens to mail.
    bool reject_failures = false;
    bool hold_quarantined_messages = false;
    bool reject_multi_value_from = false;
    bool required_headers = false;
    bool required_from = false;
    bool ignore_pct = false;
    std::string reject_text = "rejected by DMARC policy for %s";
    std::string copy_failures_to;
    bool software_header = false;

    // Where policies come from.
    DiscoveryMode discovery_mode = DiscoveryMode::automatic;
    std::string public_suffix_list;
    std::chrono::seconds dns_timeout{5}; // 0: as long as a message may take
    std::vector<std::string> nameservers;

    // What is written down.
    std::string history_file;
    bool record_all_messages = false;
    bool syslog = false;
    std::string syslog_facility = "mail";

    // How the process lives.
    std::optional<net::ListenAddress> socket;
    std::optional<net::ListenAddress> metrics_listen;
    std::string user;
    std::string pid_file;
    std::string base_directory;
    std::string root_directory;
    std::optional<unsigned> umask;
    bool background = true;
    bool core_dumps = false;
    int milter_debug = 0;
    bool auto_restart = false;
    int auto_restart_count = 0; // 0: no limit
    int auto_restart_rate = 0;  // at most so often in the period; 0: no limit
    std::chrono::seconds auto_restart_period{0};
};

// Names in any case.
config::Table<Settings> const& settings_table();

struct SettingsResult {
    Settings settings;
    std::vector<config::Problem> problems;
};

// An unreadable file, unknown names and refused values are errors; Socket may be missing, since -p can name
// it.
SettingsResult read_settings(std::string const& path);
SettingsResult parse_settings(std::string_view text, std::string const& file);

std::string host_name(); // gethostname(2)

} // namespace postern::milter_dmarc
