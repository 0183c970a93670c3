// The one table of opendkim.conf's names; parser, --print-defaults, sample and manual come from it.
#include "milter-dkim/settings.h"

#include "common/base/text.h"
#include "common/net/address.h"

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

Result<> mode(Settings& settings, std::string_view value) {
    settings.signs = settings.verifies = false;
    for (char const c : value) {
        if (lower(c) == 's')
            settings.signs = true;
        else if (lower(c) == 'v')
            settings.verifies = true;
        else
            return permanent("expected s, v or sv");
    }
    return {};
}

Result<> canonicalization(Settings& settings, std::string_view value) {
    auto const parsed = parse_canonicalization(value);
    if (!parsed) return std::unexpected(parsed.error());
    settings.canonicalization = *parsed;
    return {};
}

Result<> signature_algorithm(Settings& settings, std::string_view value) {
    auto const name = to_lower(value);
    if (name == "rsa-sha1") return permanent("rsa-sha1 must not be used any more (RFC 8301)");
    if (name != "rsa-sha256" && name != "ed25519-sha256")
        return permanent("expected rsa-sha256 or ed25519-sha256");
    settings.signature_algorithm = name;
    return {};
}

Result<> umask_value(Settings& settings, std::string_view value) {
    auto const parsed = parse_number<unsigned>(value, 8);
    if (!parsed || *parsed > 0777) return permanent("expected an octal mask, 0 to 777");
    settings.umask = *parsed;
    return {};
}

Result<> dns_timeout(Settings& settings, std::string_view value) {
    auto const parsed = parse_number<int>(value);
    if (!parsed || *parsed < 0 || *parsed > 300) return permanent("expected seconds, 0 to 300");
    // Stock's 0 is "no limit"; a wait without end is none of ours.
    settings.dns_timeout = std::chrono::seconds(*parsed == 0 ? 300 : *parsed);
    return {};
}

// "50" octets, "50%", "50+".
Result<> minimum(Settings& settings, std::string_view value) {
    auto amount = value;
    settings.minimum.kind = MinimumCoverage::Kind::octets;
    if (value.ends_with('%')) settings.minimum.kind = MinimumCoverage::Kind::percent;
    if (value.ends_with('+')) settings.minimum.kind = MinimumCoverage::Kind::uncovered;
    if (settings.minimum.kind != MinimumCoverage::Kind::octets) amount.remove_suffix(1);
    auto const parsed = parse_number<std::uint64_t>(amount);
    if (!parsed || (value.ends_with('%') && *parsed > 100))
        return permanent("expected a number, optionally with % (at most 100) or +");
    settings.minimum.amount = *parsed;
    return {};
}

// "10/1h": at most ten in an hour.
Result<> restart_rate(Settings& settings, std::string_view value) {
    auto const halves = halve(value, '/');
    auto const count = parse_number<int>(halves.before);
    if (!count || *count < 0) return permanent("expected N/TIME, as 10/1h");
    auto span = halves.after.value_or("1");
    std::int64_t unit = 1;
    if (!span.empty() && is_alpha(span.back())) {
        switch (lower(span.back())) {
        case 's': unit = 1; break;
        case 'm': unit = 60; break;
        case 'h': unit = 3600; break;
        case 'd': unit = 86400; break;
        default: return permanent("expected a time in s, m, h or d");
        }
        span.remove_suffix(1);
    }
    auto const amount = parse_number<std::int32_t>(span);
    if (!amount || *amount <= 0) return permanent("expected N/TIME, as 10/1h");
    settings.auto_restart_rate = {*count, std::chrono::seconds(*amount * unit)};
    return {};
}

Result<> on_default(Settings& settings, std::string_view value) {
    auto const parsed = parse_handling(value);
    if (!parsed) return std::unexpected(parsed.error());
    settings.on_bad_signature = settings.on_dns_error = settings.on_internal_error = *parsed;
    settings.on_key_not_found = settings.on_no_signature = settings.on_security = *parsed;
    settings.on_signature_error = *parsed;
    return {};
}

constexpr std::string_view no_ldap = "LDAP data sets are not read; use file:, refile:, csl: or dsn: (SQL)";
constexpr std::string_view no_statistics =
    "statistics files are not written; MetricsListen gives counters to Prometheus";
constexpr std::string_view no_reports =
    "failure reports about single messages (RFC 6651) are not sent; milter-dmarc sends DMARC's";
constexpr std::string_view no_lua = "Lua scripts are not run";
constexpr std::string_view no_reputation = "the reputation service is gone; remove the line";
constexpr std::string_view no_rate_limit =
    "rates were never limited by distributed builds; use Postfix's anvil limits or a policy service";
constexpr std::string_view no_vbr = "Vouch By Reference (RFC 5518) is dead; remove the line";
constexpr std::string_view no_adsp = "ADSP (RFC 5617) is historic; use DMARC (milter-dmarc)";
constexpr std::string_view no_resign =
    "re-signing was never compiled in; mail that was verified stays as it is";
constexpr std::string_view no_identity = "it was never compiled in; use the SigningTable's third column";
constexpr std::string_view no_files = "messages stream through the hashes; no temporary files are made";

std::vector<Row> rows() {
    using S = Settings;
    return {
        // what to do
        {"Mode", "sv", "s signs, v verifies, sv does both.", mode},
        {"Socket", "", "Where the MTA connects: inet:8891@localhost, local:/run/opendkim/opendkim.sock.",
         listen_address<&S::socket>},

        // whose mail is signed
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
        {"SenderHeaders", "From", "Header fields that tell the sender, the first one found counts.",
         words<&S::sender_headers>},
        {"SenderMacro", "", "A macro that tells the sender, before SenderHeaders.", text<&S::sender_macro>},

        // how it is signed
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
        {"Canonicalization", "simple/simple", "header/body, each simple or relaxed.", canonicalization},
        {"SelectCanonicalizationHeader", "Canonicalization",
         "A header field that chooses the canonicalization of its message.",
         text<&S::select_canonicalization_header>},
        {"SignatureAlgorithm", "rsa-sha256",
         "Only checked: the algorithm follows from each key (RSA or Ed25519).", signature_algorithm},
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
        {"FixCRLF", "no", "Takes a bare CR or LF in the body for a line end.", flag<&S::fix_crlf>},

        // how mail is verified
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
        {"Minimum", "", "How much of the body a signature must cover: N octets, N%, or all but N+.", minimum},
        {"MustBeSigned", "", "Header fields (data set) that a signature must cover when they are there.",
         text<&S::must_be_signed>},
        {"TrustSignaturesFrom", "", "Domains (data set) whose third-party signatures are looked at.",
         text<&S::trust_signatures_from>},
        {"RequiredHeaders", "no", "Refuses mail whose header breaks RFC 5322's counts.",
         flag<&S::required_headers>},
        {"StrictHeaders", "no", "Takes such mail for malformed.", flag<&S::strict_headers>},
        {"WeakSyntaxChecks", "", "", nullptr,
         "one broken signature never keeps the others from being verified"},
        {"IgnoreMalformedMail", "no", "Malformed mail passes untouched, without permerror.",
         flag<&S::ignore_malformed_mail>},
        {"SoftwareHeader", "no", "Adds DKIM-Filter with our version.", flag<&S::software_header>},
        {"X-Header", "no", "The older name of SoftwareHeader.", flag<&S::software_header>},
        {"UnprotectedKey", "none", "A key without DNSSEC: none, neutral or fail.",
         key_handling<&S::unprotected_key>},
        {"BogusKey", "", "", nullptr,
         "an answer whose DNSSEC is broken is never used; the result is temperror"},
        {"DiagnosticDirectory", "", "", nullptr,
         "headers of failed messages are not written down; LogResults tells the results"},

        // what follows from a result
        {"On-Default", "", "Sets all of the following at once.", on_default},
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
        {"SendReports", "", "", nullptr, no_reports},
        {"ReportAddress", "", "", nullptr, no_reports},
        {"ReportBccAddress", "", "", nullptr, no_reports},
        {"MTACommand", "", "", nullptr, no_reports},
        {"ReplaceHeaders", "", "Header fields (data set) that ReplaceRules change before signing.", nullptr,
         "headers are signed as they are; let the MTA rewrite before the milter (Postfix: cleanup's maps "
         "run first for locally submitted mail)"},
        {"ReplaceRules", "", "Replacements for the header before signing.", nullptr,
         "headers are signed as they are; let the MTA rewrite before the milter"},

        // the DNS
        {"DNSTimeout", "5", "Seconds to wait for a key.", dns_timeout},
        {"Nameservers", "", "DNS servers, ADDRESS or ADDRESS@PORT; unset: those of /etc/resolv.conf.",
         words<&S::nameservers>},
        {"ResolverConfiguration", "", "A file in unbound.conf's format for the resolver.",
         text<&S::resolver_configuration>},
        {"TrustAnchorFile", "", "DNSSEC trust anchor; tells secure from unprotected keys.",
         text<&S::trust_anchor_file>},
        {"TestDNSData", "", "Key records (data set) that stand in for the DNS.", text<&S::test_dns_data>},
        {"TestPublicKeys", "", "A file of key records that stands in for the DNS.",
         text<&S::test_public_keys>},
        {"QueryCache", "", "", nullptr, "keys are always cached for their time to live"},
        {"DNSConnect", "", "", nullptr, "the resolver turns to TCP by itself when it must"},
        {"ResolverTracing", "", "", nullptr, "use MetricsListen and the log"},

        // the process
        {"UserID", "", "user[:group] to become after start.", text<&S::user_id>},
        {"PidFile", "", "Where the process id is written.", text<&S::pid_file>},
        {"UMask", "", "For the socket and all files, octal.", umask_value},
        {"Background", "yes", "Returns to the caller once it serves.", flag<&S::background>},
        {"AutoRestart", "no", "Starts again after a crash.", flag<&S::auto_restart>},
        {"AutoRestartCount", "0", "How often at most; 0: no limit.",
         number<&S::auto_restart_count, 0, 1000000>},
        {"AutoRestartRate", "", "N/TIME: how often in that time at most, as 10/1h.", restart_rate},
        {"BaseDirectory", "", "Goes there first; relative paths count from it.", text<&S::base_directory>},
        {"ChangeRootDirectory", "", "Makes this directory the root (chroot) after start.",
         text<&S::change_root_directory>},
        {"EnableCoredumps", "no", "Lets a crash leave a core file.", flag<&S::enable_coredumps>},
        {"MilterDebug", "0", "libmilter's own debug level, 0 to 6.", number<&S::milter_debug, 0, 100>},
        {"MetricsListen", "", "Where Prometheus metrics are served, as inet:9101@localhost.",
         listen_address<&S::metrics_listen>},
        {"SoftStart", "", "", nullptr,
         "the filter always starts; while a database is away, mail that needs it is deferred"},
        {"Include", "", "Reads another file here.", nullptr, "Include stands in files only"},

        // the log
        {"Syslog", "no", "Logs to syslog; else to standard error.", flag<&S::syslog>},
        {"SyslogFacility", "mail", "The facility.", text<&S::syslog_facility>},
        {"SyslogName", "opendkim", "The name on each line.", text<&S::syslog_name>},
        {"SyslogSuccess", "no", "A line for each signature made or verified.", flag<&S::syslog_success>},
        {"LogWhy", "no", "Lines that tell why a message was or was not signed.", flag<&S::log_why>},
        {"LogResults", "no", "A line with the result of every signature.", flag<&S::log_results>},

        // accepted, without effect
        {"AllowSHA1Only", "", "", nullptr, "SHA-256 is always there, and rsa-sha1 never passes (RFC 8301)"},
        {"DisableCryptoInit", "", "", nullptr, "OpenSSL needs no such care any more"},
        {"DomainKeysCompat", "", "", nullptr, "DomainKeys (RFC 4870) is historic; remove the line"},
        {"KeepTemporaryFiles", "", "", nullptr, no_files},
        {"TemporaryDirectory", "", "", nullptr, no_files},
        {"StrictTestMode", "", "", nullptr, "line ends are as the MTA sends them"},
        {"Statistics", "", "", nullptr, no_statistics},
        {"StatisticsName", "", "", nullptr, no_statistics},
        {"StatisticsPrefix", "", "", nullptr, no_statistics},
        {"StatisticsPolicyScript", "", "", nullptr, no_statistics},
        {"AnonymousStatistics", "", "", nullptr, no_statistics},
        {"SetupPolicyScript", "", "", nullptr, no_lua},
        {"ScreenPolicyScript", "", "", nullptr, no_lua},
        {"FinalPolicyScript", "", "", nullptr, no_lua},
        {"LuaOnlySigning", "", "", nullptr, no_lua},
        {"LDAPAuthMechanism", "", "", nullptr, no_ldap},
        {"LDAPAuthName", "", "", nullptr, no_ldap},
        {"LDAPAuthRealm", "", "", nullptr, no_ldap},
        {"LDAPAuthUser", "", "", nullptr, no_ldap},
        {"LDAPBindPassword", "", "", nullptr, no_ldap},
        {"LDAPBindUser", "", "", nullptr, no_ldap},
        {"LDAPDisableCache", "", "", nullptr, no_ldap},
        {"LDAPKeepaliveIdle", "", "", nullptr, no_ldap},
        {"LDAPKeepaliveInterval", "", "", nullptr, no_ldap},
        {"LDAPKeepaliveProbes", "", "", nullptr, no_ldap},
        {"LDAPTimeout", "", "", nullptr, no_ldap},
        {"LDAPUseTLS", "", "", nullptr, no_ldap},
        {"LDAPSoftStart", "", "", nullptr, no_ldap},
        {"POPDBFile", "", "", nullptr, "POP before SMTP is gone; authenticated clients are signed for"},
        {"SMTPURI", "", "", nullptr, no_reports},
        {"DefaultSender", "", "", nullptr, "it was never compiled in; set SenderHeaders"},
        {"ConditionalSignatures", "", "", nullptr, "they never became a standard; remove the line"},
        {"FlowData", "", "", nullptr, no_rate_limit},
        {"FlowDataFactor", "", "", nullptr, no_rate_limit},
        {"FlowDataTTL", "", "", nullptr, no_rate_limit},
        {"RateLimits", "", "", nullptr, no_rate_limit},
        {"IdentityHeader", "", "", nullptr, no_identity},
        {"IdentityHeaderRemove", "", "", nullptr, no_identity},
        {"ResignAll", "", "", nullptr, no_resign},
        {"ResignMailTo", "", "", nullptr, no_resign},
        {"On-ReputationError", "", "", nullptr, no_reputation},
        {"ReputationCache", "", "", nullptr, no_reputation},
        {"ReputationCacheTTL", "", "", nullptr, no_reputation},
        {"ReputationDuplicates", "", "", nullptr, no_reputation},
        {"ReputationLimits", "", "", nullptr, no_reputation},
        {"ReputationLimitModifiers", "", "", nullptr, no_reputation},
        {"ReputationLowTime", "", "", nullptr, no_reputation},
        {"ReputationMinimum", "", "", nullptr, no_reputation},
        {"ReputationRatios", "", "", nullptr, no_reputation},
        {"ReputationRRDHashDepth", "", "", nullptr, no_reputation},
        {"ReputationRRDRoot", "", "", nullptr, no_reputation},
        {"ReputationSpamCheck", "", "", nullptr, no_reputation},
        {"ReputationTest", "", "", nullptr, no_reputation},
        {"ReputationTimeFactor", "", "", nullptr, no_reputation},
        {"ReputationTimeout", "", "", nullptr, no_reputation},
        {"ReputationVerbose", "", "", nullptr, no_reputation},
        {"VBR-Certifiers", "", "", nullptr, no_vbr},
        {"VBR-PurgeFields", "", "", nullptr, no_vbr},
        {"VBR-TrustedCertifiers", "", "", nullptr, no_vbr},
        {"VBR-TrustedCertifiersOnly", "", "", nullptr, no_vbr},
        {"VBR-Type", "", "", nullptr, no_vbr},
        {"ADSPAction", "", "", nullptr, no_adsp},
        {"ADSPNoSuchDomain", "", "", nullptr, no_adsp},
        {"DisableADSP", "", "", nullptr, no_adsp},
        {"LocalADSP", "", "", nullptr, no_adsp},
        {"SendADSPReports", "", "", nullptr, no_adsp},
        {"On-PolicyError", "", "", nullptr, no_adsp},
        {"BogusPolicy", "", "", nullptr, no_adsp},
        {"UnprotectedPolicy", "", "", nullptr, no_adsp},
        {"CheckSigningTable", "", "", nullptr, "a bad row never keeps the others from being served"},
        {"AddAllSignatureResults", "", "", nullptr, "every signature always has its result"},
    };
}

} // namespace

config::Table<Settings> const& settings_table() {
    static config::Table<Settings> const table(rows(), config::NameCase::ignored);
    return table;
}

} // namespace postern::milter_dkim
