// opendmarc.conf: names, values, mistakes, and real administrators' files.
#include "milter-dmarc/settings.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"

#include <cstdlib>
#include <filesystem>

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

std::string problems_of(std::string_view text) {
    std::string all;
    for (auto const& each : parse_settings(text, "c").problems) all += each.to_string() + "\n";
    return all;
}

Settings settings_of(std::string_view text) {
    auto result = parse_settings(text, "c");
    CHECK_FALSE(config::has_errors(result.problems));
    return result.settings;
}

} // namespace

TEST_CASE("names of any case and values with quotes are taken") {
    auto const settings =
        settings_of("authservid \"mx.example\"\nTrustedAuthservIDs a.example, \"b.example\",HOSTNAME # x\n"
                    "REJECTFAILURES Yes\nuserid opendmarc:mail\nSocket local:/run/x.sock\nUMask 777\n"
                    "IgnoreMailFrom Example.COM,b\xc3\xbc.example\nNameservers 192.0.2.1@5353,::1\n"
                    "DMARCbisWalkMode rfc9989\nBackground 0\nDNSTimeout 0\nAutoRestartRate 10/1H\n");
    CHECK(settings.auto_restart_rate == 10);
    CHECK(settings.auto_restart_period == std::chrono::hours(1));
    CHECK(settings.authserv_id == "mx.example");
    CHECK(settings.trusted_authserv_ids == std::vector<std::string>{"a.example", "b.example", host_name()});
    CHECK(settings.reject_failures);
    CHECK(settings.user == "opendmarc:mail");
    CHECK(settings.socket->address.path == "/run/x.sock");
    CHECK(settings.umask == 0777U);
    CHECK(settings.ignore_mail_from == std::vector<std::string>{"example.com", "xn--b-eha.example"});
    CHECK(settings.nameservers == std::vector<std::string>{"192.0.2.1@5353", "::1"});
    CHECK(settings.discovery_mode == DiscoveryMode::treewalk);
    CHECK_FALSE(settings.background);
    CHECK(settings.dns_timeout.count() == 0);
}

TEST_CASE("every mistake is told with its line") {
    CHECK(problems_of(
              "RejectFailure yes\nSyslog perhaps\nUMask 9\nDNSTimeout -1\nSyslogFacility post\n"
              "RejectString no domain\nRejectString %s %s\nRejectString %d\nDMARCbisWalkMode "
              "all\nMilterDebug 7\n"
              "IgnoreMailFrom a..b\nCopyFailuresTo a b\nSocket nowhere\nAutoRestartRate 10\nAuthservID\n") ==
          "c:15: AuthservID: required value missing\n"
          "c:1: unknown setting \"RejectFailure\"; did you mean \"RejectFailures\"?\n"
          "c:2: Syslog: \"perhaps\" is neither yes nor no\n"
          "c:3: UMask: \"9\" is not an octal mode such as 0660\n"
          "c:4: DNSTimeout: \"-1\" is not a number from 0 to 600\n"
          "c:5: SyslogFacility: \"post\" is no syslog facility\n"
          "c:6: RejectString: must hold %s exactly once, for the domain\n"
          "c:7: RejectString: must hold %s exactly once, for the domain\n"
          "c:8: RejectString: must hold %s exactly once, for the domain\n"
          "c:9: DMARCbisWalkMode: \"all\" is none of PSL, RFC7489, RFC9989, treewalk, Auto\n"
          "c:10: MilterDebug: \"7\" is not a number from 0 to 6\n"
          "c:11: IgnoreMailFrom: \"a..b\" is no domain name\n"
          "c:12: CopyFailuresTo: \"a b\" is no address\n"
          "c:13: Socket: \"nowhere\" is not an address (unix:/path, inet:port@host)\n"
          "c:14: AutoRestartRate: \"10\" is not a number and a time, as 10/1h\n");
}

TEST_CASE("names without effect are accepted with a warning") {
    auto const result = parse_settings("FailureReports true\nTestDNSData x\nForensicReports no\n", "c");
    CHECK(result.problems.size() == 3);
    CHECK_FALSE(config::has_errors(result.problems));
    CHECK(result.problems[0].to_string() ==
          "c:1: warning: FailureReports has no effect: failure reports are not sent");
}

TEST_CASE("the table knows all names of opendmarc.conf") {
    for (auto const* name : {"AuthservID",
                             "AuthservIDWithJobID",
                             "AutoRestart",
                             "AutoRestartCount",
                             "AutoRestartRate",
                             "Background",
                             "BaseDirectory",
                             "ChangeRootDirectory",
                             "CopyFailuresTo",
                             "DNSTimeout",
                             "DomainWhitelist",
                             "DomainWhitelistFile",
                             "DomainWhitelistSize",
                             "EnableCoredumps",
                             "FailureReports",
                             "FailureReportsBcc",
                             "FailureReportsOnNone",
                             "FailureReportsSentBy",
                             "HistoryFile",
                             "HoldQuarantinedMessages",
                             "IgnoreAuthenticatedClients",
                             "IgnoreHosts",
                             "IgnoreMailFrom",
                             "MilterDebug",
                             "PidFile",
                             "PublicSuffixList",
                             "RecordAllMessages",
                             "RequiredHeaders",
                             "RejectFailures",
                             "RejectMultiValueFrom",
                             "ReportCommand",
                             "Socket",
                             "SoftwareHeader",
                             "SPFIgnoreResults",
                             "SPFSelfValidate",
                             "Syslog",
                             "SyslogFacility",
                             "TestDNSData",
                             "TrustedAuthservIDs",
                             "UMask",
                             "Userid",
                             "IgnoreMailTo",
                             "NoReportsList",
                             "RequiredFrom",
                             "RejectString",
                             "DMARCbisWalkMode",
                             "DMARCbisWalkModeFallback",
                             "DMARCbisIgnorePct",
                             "ForensicReports"})
        CHECK(std::string(name) + (settings_table().find(name) ? " known" : " unknown") ==
              std::string(name) + " known");
}

TEST_CASE("the defaults in the table are the defaults in force") {
    std::string text;
    for (auto const& row : settings_table().rows())
        if (row.apply != nullptr && !row.default_text.empty())
            text += std::string(row.name) + " " + std::string(row.default_text) + "\n";
    auto const read = settings_of(text);
    Settings const built_in;
    CHECK(read.reject_text == built_in.reject_text);
    CHECK(read.background == built_in.background);
    CHECK(read.syslog == built_in.syslog);
    CHECK(read.discovery_mode == built_in.discovery_mode);
    CHECK(read.dns_timeout == built_in.dns_timeout);
    CHECK(read.trust_received_spf == built_in.trust_received_spf);
    CHECK(read.reject_failures == built_in.reject_failures);
    CHECK(read.syslog_facility == built_in.syslog_facility);
}

TEST_CASE("the manual and the sample say what the table says") {
    std::string const folder = std::string(std::getenv("POSTERN_SOURCE")) + "/milter-dmarc/";
    auto const manual = config::read_file(folder + "milter-dmarc.conf.5.scd");
    REQUIRE(manual);
    for (auto const& row : settings_table().rows()) {
        std::string heading = "*" + std::string(row.name) + "*";
        if (row.apply != nullptr) {
            heading = "\n" + heading;
            heading += row.default_text.empty() ? "\n\t" : " (" + std::string(row.default_text) + ")\n\t";
        }
        INFO(heading);
        CHECK(manual->contains(heading));
    }
    auto const sample = config::read_file(folder + "opendmarc.conf.sample");
    REQUIRE(sample);
    CHECK(sample->ends_with(config::defaults_text(default_rows(settings_table()), config::FileStyle::words)));
    CHECK(read_settings(folder + "opendmarc.conf.sample").problems.empty());
}

TEST_CASE("real administrators' files are read without errors") {
    auto const* const corpus = postern::test::corpus_or_skip();
    if (corpus == nullptr) return;
    int files = 0;
    for (auto const& entry : std::filesystem::directory_iterator(std::string(corpus) + "/opendmarc")) {
        auto const name = entry.path().filename().string();
        if (!name.starts_with("opendmarc__")) continue;
        ++files;
        for (auto const& problem : read_settings(entry.path()).problems) {
            // Templates have placeholders where names belong.
            bool const placeholder = name.ends_with(".j2") && problem.text.contains("{{");
            INFO(problem.to_string());
            CHECK((problem.severity == config::Problem::Severity::warning || placeholder));
        }
    }
    CHECK(files >= 11);
}
