// Names of opendkim.conf that do nothing here, each with what to do instead.
#include "milter-dkim/settings.h"

namespace postern::milter_dkim {

namespace {

constexpr std::string_view no_ldap = "LDAP data sets are not read; use file:, refile:, csl: or dsn: (SQL)";
constexpr std::string_view no_hashing =
    "statistics name domains and addresses as they are, as those of OpenDKIM 2.11 do";
constexpr std::string_view no_curl = "reports are handed to MTACommand";
constexpr std::string_view no_reputation = "the reputation service is gone; remove the line";
constexpr std::string_view no_rate_limit =
    "rates were never limited by distributed builds; use Postfix's anvil limits or a policy service";
constexpr std::string_view no_vbr = "Vouch By Reference (RFC 5518) is dead; remove the line";
constexpr std::string_view no_adsp = "ADSP (RFC 5617) is historic; use DMARC (milter-dmarc)";
constexpr std::string_view all_results = "every signature always has its result";
constexpr std::string_view no_resign =
    "re-signing was never compiled in; mail that was verified stays as it is";
constexpr std::string_view no_identity = "it was never compiled in; use the SigningTable's third column";

struct Name {
    std::string_view name;
    std::string_view instead;
};

constexpr Name names[] = {
    {"ResolverTracing", "use MetricsListen and the log; Debian's OpenDKIM cannot trace either"},
    {"AllowSHA1Only", "SHA-256 is always there, and rsa-sha1 never passes (RFC 8301)"},
    {"DisableCryptoInit", "OpenSSL needs no such care any more"},
    {"DomainKeysCompat", "DomainKeys (RFC 4870) is historic; remove the line"},
    {"StatisticsPrefix", no_hashing},
    {"StatisticsPolicyScript", "it was never compiled in; use FinalPolicyScript"},
    {"AnonymousStatistics", no_hashing},
    {"LuaOnlySigning", "it was never compiled in; end a message with odkim.set_result()"},
    {"LDAPAuthMechanism", no_ldap},
    {"LDAPAuthName", no_ldap},
    {"LDAPAuthRealm", no_ldap},
    {"LDAPAuthUser", no_ldap},
    {"LDAPBindPassword", no_ldap},
    {"LDAPBindUser", no_ldap},
    {"LDAPDisableCache", no_ldap},
    {"LDAPKeepaliveIdle", no_ldap},
    {"LDAPKeepaliveInterval", no_ldap},
    {"LDAPKeepaliveProbes", no_ldap},
    {"LDAPTimeout", no_ldap},
    {"LDAPUseTLS", no_ldap},
    {"LDAPSoftStart", no_ldap},
    {"POPDBFile", "POP before SMTP is gone; authenticated clients are signed for"},
    {"SMTPURI", no_curl},
    {"DefaultSender", "it was never compiled in; set SenderHeaders"},
    {"ConditionalSignatures", "they never became a standard; remove the line"},
    {"FlowData", no_rate_limit},
    {"FlowDataFactor", no_rate_limit},
    {"FlowDataTTL", no_rate_limit},
    {"RateLimits", no_rate_limit},
    {"IdentityHeader", no_identity},
    {"IdentityHeaderRemove", no_identity},
    {"ResignAll", no_resign},
    {"ResignMailTo", no_resign},
    {"On-ReputationError", no_reputation},
    {"ReputationCache", no_reputation},
    {"ReputationCacheTTL", no_reputation},
    {"ReputationDuplicates", no_reputation},
    {"ReputationLimits", no_reputation},
    {"ReputationLimitModifiers", no_reputation},
    {"ReputationLowTime", no_reputation},
    {"ReputationMinimum", no_reputation},
    {"ReputationRatios", no_reputation},
    {"ReputationRRDHashDepth", no_reputation},
    {"ReputationRRDRoot", no_reputation},
    {"ReputationSpamCheck", no_reputation},
    {"ReputationTest", no_reputation},
    {"ReputationTimeFactor", no_reputation},
    {"ReputationTimeout", no_reputation},
    {"ReputationVerbose", no_reputation},
    {"VBR-Certifiers", no_vbr},
    {"VBR-PurgeFields", no_vbr},
    {"VBR-TrustedCertifiers", no_vbr},
    {"VBR-TrustedCertifiersOnly", no_vbr},
    {"VBR-Type", no_vbr},
    {"ADSPAction", no_adsp},
    {"ADSPNoSuchDomain", no_adsp},
    {"DisableADSP", no_adsp},
    {"LocalADSP", no_adsp},
    {"SendADSPReports", no_adsp},
    {"On-PolicyError", no_adsp},
    {"BogusPolicy", no_adsp},
    {"UnprotectedPolicy", no_adsp},
    {"ADSPDiscard", no_adsp},
    {"InsecurePolicy", no_adsp},
    {"NoDiscardableMailTo", no_adsp},
    {"AlwaysSignHeaders", "it is called OverSignHeaders now"},
    {"BodyLengthDBFile", "it is called BodyLengthDB now"},
    {"BodyLengths", "use BodyLengthDB or MaximumSignedBytes"},
    {"InsecureKey", "it is called UnprotectedKey now"},
    {"KeyList", "use KeyTable and SigningTable"},
    {"ResolvConf", "use Nameservers, or ResolverConfiguration"},
    {"UnboundConfigFile", "it is called ResolverConfiguration now"},
    {"SingleAuthResult", all_results},
    {"CheckSigningTable", "a bad row never keeps the others from being served"},
    {"AddAllSignatureResults", all_results},
};

} // namespace

std::vector<config::Setting<Settings>> settings_without_effect() {
    std::vector<config::Setting<Settings>> rows;
    for (auto const& [name, instead] : names) rows.push_back({name, "", "", nullptr, instead});
    return rows;
}

} // namespace postern::milter_dkim
