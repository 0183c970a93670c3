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

} // namespace

std::vector<config::Setting<Settings>> settings_without_effect() {
    return {
        {"ResolverTracing", "", "", nullptr,
         "use MetricsListen and the log; Debian's OpenDKIM cannot trace either"},
        {"AllowSHA1Only", "", "", nullptr, "SHA-256 is always there, and rsa-sha1 never passes (RFC 8301)"},
        {"DisableCryptoInit", "", "", nullptr, "OpenSSL needs no such care any more"},
        {"DomainKeysCompat", "", "", nullptr, "DomainKeys (RFC 4870) is historic; remove the line"},
        {"StatisticsPrefix", "", "", nullptr, no_hashing},
        {"StatisticsPolicyScript", "", "", nullptr, "it was never compiled in; use FinalPolicyScript"},
        {"AnonymousStatistics", "", "", nullptr, no_hashing},
        {"LuaOnlySigning", "", "", nullptr,
         "it was never compiled in; end a message with odkim.set_result()"},
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
        {"SMTPURI", "", "", nullptr, no_curl},
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
        {"ADSPDiscard", "", "", nullptr, no_adsp},
        {"InsecurePolicy", "", "", nullptr, no_adsp},
        {"NoDiscardableMailTo", "", "", nullptr, no_adsp},
        {"AlwaysSignHeaders", "", "", nullptr, "it is called OverSignHeaders now"},
        {"BodyLengthDBFile", "", "", nullptr, "it is called BodyLengthDB now"},
        {"BodyLengths", "", "", nullptr, "use BodyLengthDB or MaximumSignedBytes"},
        {"InsecureKey", "", "", nullptr, "it is called UnprotectedKey now"},
        {"KeyList", "", "", nullptr, "use KeyTable and SigningTable"},
        {"ResolvConf", "", "", nullptr, "use Nameservers, or ResolverConfiguration"},
        {"UnboundConfigFile", "", "", nullptr, "it is called ResolverConfiguration now"},
        {"SingleAuthResult", "", "", nullptr, all_results},
        {"CheckSigningTable", "", "", nullptr, "a bad row never keeps the others from being served"},
        {"AddAllSignatureResults", "", "", nullptr, all_results},
    };
}

} // namespace postern::milter_dkim
