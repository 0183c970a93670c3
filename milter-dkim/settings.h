// opendkim.conf: every name that OpenDKIM 2.11 knows, where its value lands, and what has no effect.
#pragma once

#include "common/base/error.h"
#include "common/config/settings.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// What is done with a message after a result (On-BadSignature and its kin).
enum class Handling { accept, discard, quarantine, reject, tempfail };
// UnprotectedKey and BogusKey.
enum class KeyHandling { none, neutral, fail };
enum class CanonicalForm { simple, relaxed };

struct Canonicalization {
    CanonicalForm header = CanonicalForm::simple;
    CanonicalForm body = CanonicalForm::simple;

    bool operator==(Canonicalization const&) const = default;
};

// How much of a body a signature must cover (Minimum): a percentage, a count of octets, or "N+": at most N
// uncovered.
struct MinimumCoverage {
    enum class Kind { octets, percent, uncovered } kind = Kind::octets;
    std::uint64_t amount = 0;
};

struct RestartRate {
    int count = 0; // 0: no limit
    std::chrono::seconds span{0};
};

// Text that names a data set ("refile:/etc/opendkim/TrustedHosts", "csl:a,b") stays text here; Configuration
// opens it. Empty text is unset.
struct Settings {
    // what to do
    bool signs = true;
    bool verifies = true;

    // whose mail is signed
    std::string domain;
    std::string internal_hosts;
    std::string external_ignore_list;
    std::string peer_list;
    std::string mta;
    std::string macro_list;
    std::string exempt_domains;
    std::string dont_sign_mail_to;
    std::string body_length_db;
    std::string sender_headers;
    std::string sender_macro;
    bool sub_domains = false;

    // what is read in place of what came
    std::string replace_rules;
    std::string replace_headers;

    // how it is signed
    std::string key_file;
    std::string selector;
    std::string key_table;
    std::string signing_table;
    bool multiple_signatures = false;
    bool require_safe_keys = true;
    Canonicalization canonicalization;
    std::string select_canonicalization_header = "Canonicalization";
    std::string signature_algorithm = "rsa-sha256";
    std::uint64_t signature_ttl = 0;        // seconds; 0: no x=
    std::uint64_t maximum_signed_bytes = 0; // 0: the whole body
    std::string sign_headers;
    std::string omit_headers;
    std::string oversign_headers;
    bool diagnostics = false;     // z=
    bool request_reports = false; // r=y
    bool remove_old_signatures = false;
    std::string atps_domains;
    std::string atps_hash_algorithm = "sha256";
    bool fix_crlf = false;
    bool strict_test_mode = false; // messages of -t must have CRLF

    // how mail is verified
    std::string authserv_id;
    bool authserv_id_with_job_id = false;
    bool always_add_ar_header = false;
    bool keep_auth_results = false;
    bool remove_ar_all = false;
    std::string remove_ar_from;
    bool no_header_b = false;
    std::uint64_t clock_drift = 300; // seconds
    unsigned minimum_key_bits = 1024;
    int maximum_signatures_to_verify = 3;
    std::size_t maximum_headers = 65536;
    std::optional<MinimumCoverage> minimum; // unset: all of the body
    std::string must_be_signed;
    std::string trust_signatures_from;
    bool required_headers = false;
    bool strict_headers = false;
    bool ignore_malformed_mail = false;
    bool weak_syntax_checks = false;
    bool software_header = false;
    KeyHandling unprotected_key = KeyHandling::none;
    KeyHandling bogus_key = KeyHandling::none; // the result stays temperror

    // what follows from a result
    Handling on_bad_signature = Handling::accept;
    Handling on_dns_error = Handling::tempfail;
    Handling on_internal_error = Handling::tempfail;
    Handling on_key_not_found = Handling::accept;
    Handling on_no_signature = Handling::accept;
    Handling on_security = Handling::tempfail;
    Handling on_signature_error = Handling::reject;
    bool quarantine = false;
    bool capture_unknown_errors = false;
    std::string redirect_failures_to;

    // what is written down and sent
    bool send_reports = false;
    std::string report_address; // empty: user@host
    std::string report_bcc_address;
    std::string mta_command = "/usr/sbin/sendmail";
    std::string diagnostic_directory;
    bool keep_temporary_files = false;
    std::string temporary_directory = "/tmp";
    std::string statistics;
    std::string statistics_name; // empty: our host

    // scripts
    std::string setup_policy_script;
    std::string screen_policy_script;
    std::string final_policy_script;

    // the DNS
    std::chrono::seconds dns_timeout{5};
    std::vector<std::string> nameservers;
    std::string resolver_configuration;
    std::string trust_anchor_file;
    bool dns_connect = false;
    std::string test_dns_data;
    std::string test_public_keys;

    // the process
    std::string socket;
    std::string metrics_listen;
    std::string user_id;
    std::string pid_file;
    std::optional<unsigned> umask;
    bool background = true;
    bool auto_restart = false;
    int auto_restart_count = 0; // 0: no limit
    RestartRate auto_restart_rate;
    std::string base_directory;
    std::string change_root_directory;
    bool enable_coredumps = false;
    int milter_debug = 0;

    // the log
    bool syslog = false;
    std::string syslog_facility = "mail";
    std::string syslog_name = "opendkim";
    bool syslog_success = false;
    bool log_why = false;
    bool log_results = false;

    // Where the data sets were named, for messages: by setting name.
    config::Place place_of(std::string_view name) const;
    std::vector<std::pair<std::string, config::Place>> places;
};

config::Table<Settings> const& settings_table();
// Of that table the names that OpenDKIM knows or knew, and that say here only why they do nothing.
std::vector<config::Setting<Settings>> settings_without_effect();

// Stock's rule: only the first letter counts, t, y, 1 or f, n, 0.
Result<bool> parse_switch(std::string_view value);
Result<Canonicalization> parse_canonicalization(std::string_view value);
// The same where one form alone is the header's and leaves the body's as it is
// (SelectCanonicalizationHeader); what is no form changes nothing.
Canonicalization changed_canonicalization(Canonicalization current, std::string_view value);
Result<Handling> parse_handling(std::string_view value);

struct Loaded {
    Settings settings;
    std::vector<config::Problem> problems;
};

// Applies the assignments and checks what only the whole can tell. Later ones win, except that On-Default
// counts first wherever it stands.
Loaded make_settings(std::vector<config::Assignment> assignments, std::vector<config::Problem> problems = {});
// The file and then the command line's assignments. Without a file: only those.
Loaded read_settings(std::string const& path, std::vector<config::Assignment> const& command_line);

} // namespace postern::milter_dkim
