// The one table of opendkim.conf's names; parser, --print-defaults, sample and manual come from it.
#include "milter-dkim/settings.h"

#include "common/base/text.h"
#include "common/net/address.h"
#include "milter-dkim/settings_values.h"

#include <limits>

namespace postern::milter_dkim {

namespace {

using Row = config::Setting<Settings>;

template <auto Member>
Result<> text(Settings& settings, std::string_view value) {
    settings.*Member = std::string(value);
    return {};
}

template <auto Member>
Result<> flag(Settings& settings, std::string_view value) {
    auto const parsed = parse_switch(value);
    if (!parsed) return std::unexpected(parsed.error());
    settings.*Member = *parsed;
    return {};
}

template <auto Member, auto Lowest, auto Highest>
Result<> number(Settings& settings, std::string_view value) {
    auto const parsed = parse_number<std::int64_t>(value);
    if (!parsed || *parsed < static_cast<std::int64_t>(Lowest) ||
        *parsed > static_cast<std::int64_t>(Highest))
        return permanent("expected a number from " + std::to_string(Lowest) + " to " +
                         std::to_string(Highest));
    settings.*Member = static_cast<std::remove_reference_t<decltype(settings.*Member)>>(*parsed);
    return {};
}

template <auto Member>
Result<> handling(Settings& settings, std::string_view value) {
    auto const parsed = parse_handling(value);
    if (!parsed) return std::unexpected(parsed.error());
    settings.*Member = *parsed;
    return {};
}

template <auto Member>
Result<> key_handling(Settings& settings, std::string_view value) {
    if (equals_ignoring_case(value, "none"))
        settings.*Member = KeyHandling::none;
    else if (equals_ignoring_case(value, "neutral"))
        settings.*Member = KeyHandling::neutral;
    else if (equals_ignoring_case(value, "fail"))
        settings.*Member = KeyHandling::fail;
    else
        return permanent("expected none, neutral or fail");
    return {};
}

template <auto Member>
Result<> words(Settings& settings, std::string_view value) {
    (settings.*Member).clear();
    for (auto const word : split_words(value, ", \t")) (settings.*Member).emplace_back(word);
    return {};
}

template <auto Member>
Result<> listen_address(Settings& settings, std::string_view value) {
    if (auto parsed = net::parse_listen_address(value); !parsed) return std::unexpected(parsed.error());
    settings.*Member = std::string(value);
    return {};
}

// What to do.
std::vector<Row> role_rows() {
    using S = Settings;
    return {
        {"Mode", "sv", "s signs, v verifies, sv does both.", values::mode},
        {"Socket", "", "Where the MTA connects: inet:8891@localhost, local:/run/opendkim/opendkim.sock.",
         listen_address<&S::socket>},
    };
}

// Whose mail is signed.
std::vector<Row> sender_rows() {
    using S = Settings;
    return {
        {"Domain", "",
         "Domains (data set) whose mail is signed with KeyFile and Selector; * is every domain.",
         text<&S::domain>},
        {"SubDomains", "no", "Signs mail of the Domain's subdomains too, as the Domain.",
         flag<&S::sub_domains>},
        {"InternalHosts", "127.0.0.1,::1", "Clients (data set) whose mail is signed, not verified.",
         text<&S::internal_hosts>},
        {"ExternalIgnoreList", "",
         "Clients (data set) that may send as our domains without a line in the log.",
         text<&S::external_ignore_list>},
        {"PeerList", "",
         "Clients (data set) whose mail passes, without results that strangers forged in our name.",
         text<&S::peer_list>},
        {"MTA", "", "Names of smtpd services (data set, {daemon_name}) whose mail is signed.", text<&S::mta>},
        {"MacroList", "", "Macros (data set, name or name=value|value) that mark mail of our own users.",
         text<&S::macro_list>},
        {"ExemptDomains", "", "Sender domains (data set) whose mail passes, as from PeerList.",
         text<&S::exempt_domains>},
        {"DontSignMailTo", "", "Recipients (data set); mail to one of them is never signed.",
         text<&S::dont_sign_mail_to>},
        {"BodyLengthDB", "", "Recipients (data set); mail to one of them is signed with l=.",
         text<&S::body_length_db>},
        {"SenderHeaders", "From",
         "Header fields (data set) that tell the sender, the first one found counts.",
         text<&S::sender_headers>},
        {"SenderMacro", "", "A macro that tells the sender, before SenderHeaders.", text<&S::sender_macro>},
        {"ReplaceRules", "",
         "A file of rules, a POSIX basic regular expression, a tab and the text that stands for what it "
         "matches; "
         "header fields are signed and verified as if they had been written so.",
         text<&S::replace_rules>},
        {"ReplaceHeaders", "", "The header fields (data set) that ReplaceRules are for; unset: all.",
         text<&S::replace_headers>},
    };
}

// How it is signed.
std::vector<Row> signing_rows() {
    using S = Settings;
    return {
        {"KeyFile", "", "Private key (PEM) for the domains of Domain.", text<&S::key_file>},
        {"Selector", "", "Selector for KeyFile.", text<&S::selector>},
        {"KeyTable", "", "Key names (data set) with domain:selector:key, the key a path or the key itself.",
         text<&S::key_table>},
        {"SigningTable", "",
         "Sender addresses (data set) with the key name, or several with commas, to sign with.",
         text<&S::signing_table>},
        {"MultipleSignatures", "no", "Every matching row of the SigningTable signs, not only the first.",
         flag<&S::multiple_signatures>},
        {"RequireSafeKeys", "yes", "Refuses key files that other users could read or replace.",
         flag<&S::require_safe_keys>},
        {"Canonicalization", "simple/simple", "header/body, each simple or relaxed.",
         values::canonicalization},
        {"SelectCanonicalizationHeader", "Canonicalization",
         "A header field that chooses the canonicalization of its message.",
         text<&S::select_canonicalization_header>},
        {"SignatureAlgorithm", "rsa-sha256",
         "Only checked: the algorithm follows from each key (RSA or Ed25519).", values::signature_algorithm},
        {"SignatureTTL", "0", "Seconds until a signature expires (x=); 0: never.",
         number<&S::signature_ttl, 0, std::numeric_limits<std::int32_t>::max()>},
        {"MaximumSignedBytes", "0", "Signs at most this much of the body (l=); 0: all of it.",
         number<&S::maximum_signed_bytes, 0, std::numeric_limits<std::int64_t>::max()>},
        {"SignHeaders", "", "Header fields (data set) that are signed, in place of or with + beside stock's.",
         text<&S::sign_headers>},
        {"OmitHeaders", "", "Header fields (data set) that are not signed.", text<&S::omit_headers>},
        {"OverSignHeaders", "", "Header fields (data set) signed once more than they are there.",
         text<&S::oversign_headers>},
        {"Diagnostics", "no", "Copies the signed header into the signature (z=).", flag<&S::diagnostics>},
        {"RequestReports", "no", "Asks verifiers for failure reports (r=y).", flag<&S::request_reports>},
        {"RemoveOldSignatures", "no", "Removes signatures that are there before signing.",
         flag<&S::remove_old_signatures>},
        {"ATPSDomains", "", "Domains (data set) whose third-party authorization is told (atps=, RFC 6541).",
         text<&S::atps_domains>},
        {"ATPSHashAlgorithm", "sha256", "What atpsh= says.", text<&S::atps_hash_algorithm>},
        {"StrictTestMode", "no", "With -t a message whose lines do not end with CRLF is refused.",
         flag<&S::strict_test_mode>},
        {"FixCRLF", "no", "Takes a bare CR or LF in the body for a line end.", flag<&S::fix_crlf>},
    };
}

// How mail is verified.
std::vector<Row> verifying_rows() {
    using S = Settings;
    return {
        {"AuthservID", "", "Our name in Authentication-Results; unset: the MTA's name ({j}).",
         text<&S::authserv_id>},
        {"AuthservIDWithJobID", "no", "Appends the queue id to it.", flag<&S::authserv_id_with_job_id>},
        {"AlwaysAddARHeader", "no", "Writes dkim=none for mail without a signature.",
         flag<&S::always_add_ar_header>},
        {"KeepAuthResults", "no", "Leaves Authentication-Results that claim to be ours in incoming mail.",
         flag<&S::keep_auth_results>},
        {"RemoveARAll", "no", "Removes them whatever method they tell of; ours are always removed.",
         flag<&S::remove_ar_all>},
        {"RemoveARFrom", "", "More names (data set) whose Authentication-Results are removed.",
         text<&S::remove_ar_from>},
        {"NoHeaderB", "no", "Leaves header.b out of the results.", flag<&S::no_header_b>},
        {"ClockDrift", "300", "Seconds that other clocks may be off.",
         number<&S::clock_drift, 0, std::numeric_limits<std::int32_t>::max()>},
        {"MinimumKeyBits", "1024", "Smaller RSA keys never give pass, and are refused for signing.",
         number<&S::minimum_key_bits, 0, 16384>},
        {"MaximumSignaturesToVerify", "3", "More signatures in one message are not looked at.",
         number<&S::maximum_signatures_to_verify, 0, 100>},
        {"MaximumHeaders", "65536", "Octets that the header may have, else On-Security; 0: no limit of ours.",
         number<&S::maximum_headers, 0, 1 << 30>},
        {"Minimum", "",
         "How much of the body a signature must cover: N octets, N%, or all but N+. Unset: all. One that "
         "covers enough but "
         "not all never passes, and the message is accepted.",
         values::minimum},
        {"MustBeSigned", "", "Header fields (data set) that a signature must cover when they are there.",
         text<&S::must_be_signed>},
        {"TrustSignaturesFrom", "", "Domains (data set) whose third-party signatures are looked at.",
         text<&S::trust_signatures_from>},
        {"RequiredHeaders", "no", "Refuses mail whose header breaks RFC 5322's counts.",
         flag<&S::required_headers>},
        {"StrictHeaders", "no", "Takes such mail for malformed.", flag<&S::strict_headers>},
        {"IgnoreMalformedMail", "no", "Malformed mail passes untouched, without permerror.",
         flag<&S::ignore_malformed_mail>},
        {"SoftwareHeader", "no", "Adds DKIM-Filter with our version.", flag<&S::software_header>},
        {"X-Header", "no", "The older name of SoftwareHeader.", flag<&S::software_header>},
        {"UnprotectedKey", "none", "A key without DNSSEC: none, neutral or fail.",
         key_handling<&S::unprotected_key>},
        {"BogusKey", "",
         "A key whose DNSSEC is forged, which never counts: none (the result is temperror), neutral or fail.",
         key_handling<&S::bogus_key>},
        {"WeakSyntaxChecks", "no", "Goes on with mail whose From or one of whose signatures cannot be read.",
         flag<&S::weak_syntax_checks>},
    };
}

// What follows from a result.
std::vector<Row> outcome_rows() {
    using S = Settings;
    return {
        {"On-Default", "", "Sets all of the following at once.", values::on_default},
        {"On-BadSignature", "accept", "A signature that does not verify.", handling<&S::on_bad_signature>},
        {"On-DNSError", "tempfail", "The key could not be asked for.", handling<&S::on_dns_error>},
        {"On-InternalError", "tempfail", "Something broke here.", handling<&S::on_internal_error>},
        {"On-KeyNotFound", "accept", "The DNS has no such key.", handling<&S::on_key_not_found>},
        {"On-NoSignature", "accept", "No signature.", handling<&S::on_no_signature>},
        {"On-Security", "tempfail", "A message that looks like an attack.", handling<&S::on_security>},
        {"On-SignatureError", "reject", "A message that cannot be signed.", handling<&S::on_signature_error>},
        {"Quarantine", "no", "Holds mail whose signature fails.", flag<&S::quarantine>},
        {"CaptureUnknownErrors", "no", "Holds mail that meets an internal error.",
         flag<&S::capture_unknown_errors>},
        {"RedirectFailuresTo", "", "Sends mail whose signature fails to this address instead.",
         text<&S::redirect_failures_to>},
        {"SendReports", "no",
         "Sends a report of a failed signature that asks for it (r=y) to its domain's reporting address (RFC "
         "6651).",
         flag<&S::send_reports>},
        {"ReportAddress", "", "From: of reports; unset: the user and host that this runs as.",
         text<&S::report_address>},
        {"ReportBccAddress", "", "More recipients of each report, with commas.",
         text<&S::report_bcc_address>},
        {"MTACommand", "/usr/sbin/sendmail", "What sends reports; it is given -t, -f and the message.",
         text<&S::mta_command>},
        {"DiagnosticDirectory", "",
         "Where the header of a failed message is written beside the one that its signature tells of (z=).",
         text<&S::diagnostic_directory>},
        {"KeepTemporaryFiles", "no",
         "Writes the canonical header and body of each signature made or verified to TemporaryDirectory.",
         flag<&S::keep_temporary_files>},
        {"TemporaryDirectory", "/tmp", "Where those files go.", text<&S::temporary_directory>},
        {"Statistics", "", "A file that gets a record of each verified message, for opendkim-importstats(8).",
         text<&S::statistics>},
        {"StatisticsName", "", "Our name in it; unset: the host's.", text<&S::statistics_name>},
    };
}

// Lua.
std::vector<Row> script_rows() {
    using S = Settings;
    return {
        {"SetupPolicyScript", "", "A Lua script that decides whether a message is signed or verified.",
         text<&S::setup_policy_script>},
        {"ScreenPolicyScript", "", "A Lua script that chooses among a message's signatures.",
         text<&S::screen_policy_script>},
        {"FinalPolicyScript", "", "A Lua script that sees the results and decides about the message.",
         text<&S::final_policy_script>},
    };
}

// The DNS.
std::vector<Row> dns_rows() {
    using S = Settings;
    return {
        {"DNSTimeout", "5", "Seconds to wait for a key.", values::dns_timeout},
        {"Nameservers", "", "DNS servers, ADDRESS or ADDRESS@PORT; unset: those of /etc/resolv.conf.",
         words<&S::nameservers>},
        {"ResolverConfiguration", "", "A file in unbound.conf's format for the resolver.",
         text<&S::resolver_configuration>},
        {"TrustAnchorFile", "", "DNSSEC trust anchor; tells secure from unprotected keys.",
         text<&S::trust_anchor_file>},
        {"TestDNSData", "", "Records (data set) that stand in for the DNS.", text<&S::test_dns_data>},
        {"TestPublicKeys", "", "A file of key records that stands in for the DNS.",
         text<&S::test_public_keys>},
        {"QueryCache", "no", "Only checked: keys are always cached for their time to live.",
         values::checked_switch},
        {"DNSConnect", "no", "Asks the DNS over TCP only.", flag<&S::dns_connect>},
    };
}

// The process.
std::vector<Row> process_rows() {
    using S = Settings;
    return {
        {"UserID", "", "user[:group] to become after start.", text<&S::user_id>},
        {"PidFile", "", "Where the process id is written.", text<&S::pid_file>},
        {"UMask", "", "For the socket and all files, octal.", values::umask_value},
        {"Background", "yes", "Returns to the caller once it serves.", flag<&S::background>},
        {"AutoRestart", "no", "Starts again after a crash.", flag<&S::auto_restart>},
        {"AutoRestartCount", "0", "How often at most; 0: no limit.",
         number<&S::auto_restart_count, 0, 1000000>},
        {"AutoRestartRate", "", "N/TIME: how often in that time at most, as 10/1h.", values::restart_rate},
        {"BaseDirectory", "", "Goes there first; relative paths count from it.", text<&S::base_directory>},
        {"ChangeRootDirectory", "", "Makes this directory the root (chroot) after start.",
         text<&S::change_root_directory>},
        {"EnableCoredumps", "no", "Lets a crash leave a core file.", flag<&S::enable_coredumps>},
        {"MilterDebug", "0",
         "Above 0: each command of the MTA and each answer to it is logged, of bodies only their size.",
         number<&S::milter_debug, 0, 100>},
        {"MetricsListen", "", "Where Prometheus metrics are served, as inet:9101@localhost.",
         listen_address<&S::metrics_listen>},
        {"SoftStart", "no",
         "Only checked: the filter always starts; while a database is away, mail that needs it is deferred.",
         values::checked_switch},
        {"Include", "", "Reads another file here.", nullptr, "Include stands in files only"},
    };
}

// The log.
std::vector<Row> log_rows() {
    using S = Settings;
    return {
        {"Syslog", "no", "Logs to syslog; else to standard error.", flag<&S::syslog>},
        {"SyslogFacility", "mail", "The facility.", text<&S::syslog_facility>},
        {"SyslogName", "opendkim", "The name on each line.", text<&S::syslog_name>},
        {"SyslogSuccess", "no", "A line for each signature made or verified.", flag<&S::syslog_success>},
        {"LogWhy", "no", "Lines that tell why a message was or was not signed.", flag<&S::log_why>},
        {"LogResults", "no", "A line with the result of every signature.", flag<&S::log_results>},
    };
}

std::vector<Row> rows() {
    std::vector<Row> all;
    for (auto const group : {role_rows, sender_rows, signing_rows, verifying_rows, outcome_rows, script_rows,
                             dns_rows, process_rows, log_rows, settings_without_effect})
        for (auto& row : group()) all.push_back(std::move(row));
    return all;
}

} // namespace

config::Table<Settings> const& settings_table() {
    static config::Table<Settings> const table(rows(), config::NameCase::ignored);
    return table;
}

} // namespace postern::milter_dkim
