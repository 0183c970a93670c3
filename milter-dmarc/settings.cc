// opendmarc.conf as values.
#include "milter-dmarc/settings.h"

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/config/words.h"
#include "common/dns/resolver.h"
#include "common/mail/address.h"
#include "common/mail/domain.h"

#include <unistd.h>

#include <array>

namespace postern::milter_dmarc {

namespace {

using Row = config::Setting<Settings>;

// The replaced program looks at the first letter only.
Result<bool> boolean(std::string_view value) {
    if (!value.empty() && std::string_view("TtYy1").contains(value.front())) return true;
    if (!value.empty() && std::string_view("FfNn0").contains(value.front())) return false;
    return permanent("\"" + printable(value, 40) + "\" is neither yes nor no");
}

// "value" loses its quotes: an authserv-id means the same with and without them.
std::string unquoted(std::string_view value) {
    if (value.size() >= 2 && value.starts_with('"') && value.ends_with('"'))
        value = value.substr(1, value.size() - 2);
    return std::string(value);
}

std::vector<std::string> list(std::string_view value) {
    std::vector<std::string> items;
    for (auto const word : split_words(value, ", \t")) items.push_back(unquoted(word));
    return items;
}

template <bool Settings::* member>
Result<> set_boolean(Settings& settings, std::string_view value) {
    auto const read = boolean(value);
    if (!read) return std::unexpected(read.error());
    settings.*member = *read;
    return {};
}

template <std::string Settings::* member>
Result<> set_text(Settings& settings, std::string_view value) {
    settings.*member = unquoted(value);
    return {};
}

template <std::optional<net::ListenAddress> Settings::* member>
Result<> set_address(Settings& settings, std::string_view value) {
    auto read = net::parse_listen_address(unquoted(value));
    if (!read) return std::unexpected(std::move(read.error()));
    settings.*member = std::move(*read);
    return {};
}

std::string authserv_id(std::string_view value) {
    auto id = unquoted(value);
    return equals_ignoring_case(id, "HOSTNAME") ? host_name() : id;
}

Result<> set_authserv_id(Settings& settings, std::string_view value) {
    settings.authserv_id = authserv_id(value);
    return {};
}

Result<> set_trusted_ids(Settings& settings, std::string_view value) {
    settings.trusted_authserv_ids.clear();
    for (auto const& each : list(value)) settings.trusted_authserv_ids.push_back(authserv_id(each));
    return {};
}

Result<> set_ignored_domains(Settings& settings, std::string_view value) {
    settings.ignore_mail_from.clear();
    for (auto const& each : list(value)) {
        auto domain = mail::normal_domain(each);
        if (!domain) return permanent("\"" + printable(each, 60) + "\" is no domain name");
        settings.ignore_mail_from.push_back(std::move(*domain));
    }
    return {};
}

// "user@example.com", or "user@example.com,": one recipient.
Result<> set_copy_failures_to(Settings& settings, std::string_view value) {
    auto const path = mail::parse_path(unquoted(value));
    if (!path || path->local_part.empty()) return permanent("\"" + printable(value, 60) + "\" is no address");
    settings.copy_failures_to = unquoted(value);
    return {};
}

// Exactly one "%s", and nothing else that a format could mean.
Result<> set_reject_text(Settings& settings, std::string_view value) {
    auto const text = unquoted(value);
    auto const place = text.find('%');
    if (place == std::string::npos || text.substr(place, 2) != "%s" ||
        text.find('%', place + 1) != std::string::npos)
        return permanent("must hold %s exactly once, for the domain");
    settings.reject_text = text;
    return {};
}

Result<> set_dns_timeout(Settings& settings, std::string_view value) {
    auto const seconds = config::parse_integer(value, 0, 600);
    if (!seconds) return std::unexpected(seconds.error());
    settings.dns_timeout = std::chrono::seconds(*seconds);
    return {};
}

Result<> set_nameservers(Settings& settings, std::string_view value) {
    settings.nameservers = list(value);
    return {};
}

Result<> set_discovery_mode(Settings& settings, std::string_view value) {
    struct Word {
        std::string_view name;
        DiscoveryMode mode;
    };
    static constexpr std::array<Word, 5> words{{{"psl", DiscoveryMode::psl},
                                                {"rfc7489", DiscoveryMode::psl},
                                                {"treewalk", DiscoveryMode::treewalk},
                                                {"rfc9989", DiscoveryMode::treewalk},
                                                {"auto", DiscoveryMode::automatic}}};
    for (auto const& [name, mode] : words) {
        if (!equals_ignoring_case(value, name)) continue;
        settings.discovery_mode = mode;
        return {};
    }
    return permanent("\"" + printable(value, 40) + "\" is none of PSL, RFC7489, RFC9989, treewalk, Auto");
}

Result<> set_facility(Settings& settings, std::string_view value) {
    if (!is_log_facility(to_lower(value)))
        return permanent("\"" + printable(value, 40) + "\" is no syslog facility");
    settings.syslog_facility = to_lower(value);
    return {};
}

Result<> set_umask(Settings& settings, std::string_view value) {
    auto const mask = config::parse_mode(value);
    if (!mask) return std::unexpected(mask.error());
    settings.umask = *mask;
    return {};
}

Result<> set_restart_count(Settings& settings, std::string_view value) {
    auto const count = config::parse_integer(value, 0, 1'000'000);
    if (!count) return std::unexpected(count.error());
    settings.auto_restart_count = *count;
    return {};
}

// "10/1h".
Result<> set_restart_rate(Settings& settings, std::string_view value) {
    auto const [times, period] = halve(value, '/');
    auto const rate = parse_number<int>(times);
    auto const span = parse_duration(to_lower(period.value_or("")));
    if (!rate || *rate < 1 || !span || span->count() <= 0)
        return permanent("\"" + printable(value, 40) + "\" is not a number and a time, as 10/1h");
    settings.auto_restart_rate = *rate;
    settings.auto_restart_period = std::chrono::duration_cast<std::chrono::seconds>(*span);
    return {};
}

Result<> set_milter_debug(Settings& settings, std::string_view value) {
    auto const level = config::parse_integer(value, 0, 6);
    if (!level) return std::unexpected(level.error());
    settings.milter_debug = *level;
    return {};
}

inline constexpr std::string_view no_arc = "ARC results do not change the outcome";
inline constexpr std::string_view no_failure_reports = "failure reports are not sent";
inline constexpr std::string_view no_aggregate_reports =
    "it belongs to the report programs, which read it themselves";

std::vector<Row> answer_rows() {
    return {
        {"AuthservID", "",
         "Who we are in Authentication-Results; HOSTNAME means this host's name. Default: the MTA's name "
         "(macro j).",
         set_authserv_id},
        {"AuthservIDWithJobID", "no",
         "Write the queue id behind the authserv-id, and trust only results that carry it.",
         set_boolean<&Settings::authserv_id_with_job_id>},
        {"TrustedAuthservIDs", "",
         "Authserv-ids, besides our own, whose SPF and DKIM results count; comma-separated.",
         set_trusted_ids},
        {"SPFIgnoreResults", "no", "Pass over SPF results in the header.",
         set_boolean<&Settings::spf_ignore_results>},
        {"SPFSelfValidate", "no", "Check SPF ourselves where the header has no result.",
         set_boolean<&Settings::spf_self_validate>},
        {"TrustReceivedSPF", "yes",
         "Believe the topmost Received-SPF field. Say no where no policy daemon writes it: a sender can "
         "forge it.",
         set_boolean<&Settings::trust_received_spf>},
        {"IgnoreHosts", "",
         "A file of host names, addresses and networks whose connections are passed over. Default: "
         "127.0.0.1.",
         set_text<&Settings::ignore_hosts>},
        {"IgnoreAuthenticatedClients", "no", "Pass over mail from clients that logged in.",
         set_boolean<&Settings::ignore_authenticated_clients>},
        {"IgnoreMailFrom", "", "Author domains whose mail is passed over; comma-separated.",
         set_ignored_domains},
        {"SoftwareHeader", "no", "Add a DMARC-Filter field with name, version, host and queue id.",
         set_boolean<&Settings::software_header>},
    };
}

std::vector<Row> action_rows() {
    return {
        {"RejectFailures", "no",
         "Reject what fails under p=reject, and answer 451 where the DNS cannot be asked.",
         set_boolean<&Settings::reject_failures>},
        {"RejectString", "rejected by DMARC policy for %s",
         "The text of that rejection; %s is the policy's domain.", set_reject_text},
        {"HoldQuarantinedMessages", "no",
         "With RejectFailures: put what fails under p=quarantine into the MTA's hold queue.",
         set_boolean<&Settings::hold_quarantined_messages>},
        {"RejectMultiValueFrom", "no", "Reject mail with several author domains.",
         set_boolean<&Settings::reject_multi_value_from>},
        {"RequiredHeaders", "no",
         "Reject mail without exactly one From and Date, with a repeated single field, or without an author "
         "domain.",
         set_boolean<&Settings::required_headers>},
        {"RequiredFrom", "no", "Reject mail without an author domain.",
         set_boolean<&Settings::required_from>},
        {"CopyFailuresTo", "", "An address that gets a copy of what fails under p=quarantine or p=reject.",
         set_copy_failures_to},
        {"DMARCbisIgnorePct", "no",
         "Apply a policy to all mail whatever the record's old pct tag says (RFC 9989).",
         set_boolean<&Settings::ignore_pct>},
        {"DMARCbisWalkMode", "Auto",
         "How organizational domains are found: PSL (RFC7489), treewalk (RFC9989), Auto.",
         set_discovery_mode},
        {"PublicSuffixList", "", "The Public Suffix List, or its directory. Default: the system's.",
         set_text<&Settings::public_suffix_list>},
        {"DNSTimeout", "5", "Seconds for one DNS question; a message gets 30 at most.", set_dns_timeout},
        {"Nameservers", "",
         "IP addresses of name servers, with @port if it is not 53; comma-separated. Default: "
         "/etc/resolv.conf.",
         set_nameservers},
        {"HistoryFile", "", "Where results are written down for aggregate reports.",
         set_text<&Settings::history_file>},
        {"RecordAllMessages", "no", "Write down mail of domains without a record too.",
         set_boolean<&Settings::record_all_messages>},
    };
}

std::vector<Row> process_rows() {
    return {
        {"Socket", "", "Where the MTA connects: inet:port@host, local:/path. Required here or as -p.",
         set_address<&Settings::socket>},
        {"MetricsListen", "", "Where metrics are served: inet:port@host or a path.",
         set_address<&Settings::metrics_listen>},
        {"UserID", "", "The user[:group] to become.", set_text<&Settings::user>},
        {"UMask", "", "The permissions that the socket and files do not get, in octal.", set_umask},
        {"PidFile", "", "Where the process id is written.", set_text<&Settings::pid_file>},
        {"Background", "yes", "Detach from the terminal.", set_boolean<&Settings::background>},
        {"BaseDirectory", "", "The directory to run in.", set_text<&Settings::base_directory>},
        {"ChangeRootDirectory", "", "The directory to chroot into.", set_text<&Settings::root_directory>},
        {"EnableCoredumps", "no", "Allow core dumps.", set_boolean<&Settings::core_dumps>},
        {"Syslog", "no", "Log to syslog.", set_boolean<&Settings::syslog>},
        {"SyslogFacility", "mail", "The syslog facility.", set_facility},
        {"AutoRestart", "no", "Start again after a crash.", set_boolean<&Settings::auto_restart>},
        {"AutoRestartCount", "0", "How often at most; 0 means no limit.", set_restart_count},
        {"AutoRestartRate", "", "N/TIME: how often in that time at most, as 10/1h.", set_restart_rate},
        {"MilterDebug", "0",
         "Above 0: each command of the MTA and each answer to it is logged, of bodies only their size.",
         set_milter_debug},
    };
}

std::vector<Row> rows_without_effect() {
    return {
        {"DomainWhitelist", "", "", nullptr, no_arc},
        {"DomainWhitelistFile", "", "", nullptr, no_arc},
        {"DomainWhitelistSize", "", "", nullptr, no_arc},
        {"FailureReports", "", "", nullptr, no_failure_reports},
        {"FailureReportsBcc", "", "", nullptr, no_failure_reports},
        {"FailureReportsOnNone", "", "", nullptr, no_failure_reports},
        {"FailureReportsSentBy", "", "", nullptr, no_failure_reports},
        {"ForensicReports", "", "", nullptr, no_failure_reports},
        {"ForensicReportsBcc", "", "", nullptr, no_failure_reports},
        {"ForensicReportsOnNone", "", "", nullptr, no_failure_reports},
        {"ForensicReportsSentBy", "", "", nullptr, no_failure_reports},
        {"ReportCommand", "", "", nullptr, no_failure_reports},
        {"IgnoreMailTo", "", "", nullptr, no_aggregate_reports},
        {"NoReportsList", "", "", nullptr, no_aggregate_reports},
        {"DMARCbisWalkModeFallback", "", "", nullptr, "DMARCbisWalkMode Auto falls back to the tree walk"},
        {"LogSPFDNS", "", "", nullptr, "DNS answers are not logged one by one"},
        {"ReadCanonicalizedData", "", "", nullptr, no_failure_reports},
        {"TemporaryDirectory", "", "", nullptr, "no temporary files are written"},
        {"TestDNSData", "", "", nullptr, "tests use Nameservers"},
    };
}

config::Table<Settings> make_table() {
    std::vector<Row> rows;
    for (auto const& part : {answer_rows(), action_rows(), process_rows(), rows_without_effect()})
        rows.insert(rows.end(), part.begin(), part.end());
    return {std::move(rows), config::NameCase::ignored};
}

SettingsResult applied(config::ReadResult read) {
    SettingsResult result;
    result.problems = std::move(read.problems);
    auto problems = settings_table().apply(result.settings, read.assignments);
    std::move(problems.begin(), problems.end(), std::back_inserter(result.problems));
    return result;
}

} // namespace

config::Table<Settings> const& settings_table() {
    static auto const table = make_table();
    return table;
}

SettingsResult read_settings(std::string const& path) { return applied(config::read_words(path)); }

SettingsResult parse_settings(std::string_view text, std::string const& file) {
    return applied(config::parse_words(text, file));
}

std::string host_name() {
    std::array<char, 256> name{};
    if (::gethostname(name.data(), name.size() - 1) != 0) return "localhost";
    return name.data();
}

} // namespace postern::milter_dmarc
