// opendkim.conf as people write it.
#include "common/config/words.h"
#include "milter-dkim/settings.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;

namespace {

Loaded load(std::string_view text) {
    auto read = config::parse_words(text, "f");
    return make_settings(std::move(read.assignments), std::move(read.problems));
}

std::string problems(std::string_view text) {
    std::string out;
    for (auto const& each : load(text).problems) out += each.to_string() + "\n";
    return out;
}

} // namespace

TEST_CASE("each name of OpenDKIM is known in any case, and an unknown one is told with the nearest") {
    CHECK(problems("SELECTOR s\nselector t\n").empty());
    CHECK(load("SELECTOR s\nselector t\n").settings.selector == "t");
    CHECK(problems("Selecter s\n") == "f:1: unknown setting \"Selecter\"; did you mean \"Selector\"?\n");
}

TEST_CASE("every option of OpenDKIM 2.11 is in the table once") {
    std::ifstream names(std::string(std::getenv("POSTERN_SOURCE")) + "/tests/data/milter-dkim/options.txt");
    REQUIRE(names);
    std::size_t count = 0;
    for (std::string name; std::getline(names, name); ++count) {
        INFO(name);
        CHECK(settings_table().find(name) != nullptr);
    }
    CHECK(count == 161);
    for (auto const& row : settings_table().rows()) {
        INFO(row.name);
        CHECK(settings_table().find(row.name) == &row);
        CHECK((row.apply == nullptr) == !row.no_effect.empty());
        CHECK((row.apply == nullptr || !row.help.empty()));
    }
}

TEST_CASE("a dropped option is a warning that says what to do, not an error") {
    CHECK(problems("ADSPAction discard\n") ==
          "f:1: warning: ADSPAction has no effect: ADSP (RFC 5617) is historic; use DMARC (milter-dmarc)\n");
    CHECK(problems("KeyList /k\nInsecureKey fail\n") ==
          "f:1: warning: KeyList has no effect: use KeyTable and SigningTable\n"
          "f:2: warning: InsecureKey has no effect: it is called UnprotectedKey now\n");
    CHECK_FALSE(config::has_errors(load("LDAPSoftStart yes\nSendADSPReports no\nQueryCache yes\n").problems));
}

TEST_CASE("a switch is read by its first letter") {
    for (auto const* yes : {"yes", "Y", "true", "t", "1", "yesterday"}) CHECK(parse_switch(yes) == true);
    for (auto const* no : {"no", "N", "False", "0", "nothing"}) CHECK(parse_switch(no) == false);
    CHECK_FALSE(parse_switch("on"));
    CHECK_FALSE(parse_switch(""));
}

TEST_CASE("every mistake is reported with its line") {
    CHECK(problems("Syslog maybe\nMode x\nCanonicalization relaxed/odd\nMinimumKeyBits many\nUMask 9\n"
                   "On-DNSError perhaps\nSocket\nSignatureAlgorithm rsa-sha1\n") ==
          "f:7: Socket: required value missing\n"
          "f:1: Syslog: expected yes or no, not \"maybe\"\n"
          "f:2: Mode: expected s, v or sv\n"
          "f:3: Canonicalization: expected simple or relaxed, not \"odd\"\n"
          "f:4: MinimumKeyBits: expected a number from 0 to 16384\n"
          "f:5: UMask: expected an octal mask, 0 to 777\n"
          "f:6: On-DNSError: expected accept, discard, quarantine, reject or tempfail\n"
          "f:8: SignatureAlgorithm: rsa-sha1 must not be used any more (RFC 8301)\n");
}

TEST_CASE("On-Default counts before its kin wherever it stands") {
    auto const settings = load("On-BadSignature reject\nOn-Default discard\n").settings;
    CHECK(settings.on_bad_signature == Handling::reject);
    CHECK(settings.on_dns_error == Handling::discard);
    CHECK(settings.on_signature_error == Handling::discard);
}

TEST_CASE("values of more than one word and unit are understood") {
    auto const settings = load("AutoRestartRate 10/1h\nMinimum 80%\nCanonicalization relaxed\nMode v\n"
                               "Nameservers 127.0.0.1@5353, 192.0.2.53\nUMask 007\n")
                              .settings;
    CHECK(settings.auto_restart_rate.count == 10);
    CHECK(settings.auto_restart_rate.span == std::chrono::hours(1));
    CHECK(settings.minimum->kind == MinimumCoverage::Kind::percent);
    CHECK(settings.minimum->amount == 80);
    CHECK(settings.canonicalization == Canonicalization{CanonicalForm::relaxed, CanonicalForm::simple});
    CHECK_FALSE(settings.signs);
    CHECK(settings.nameservers == std::vector<std::string>{"127.0.0.1@5353", "192.0.2.53"});
    CHECK(settings.umask == 7U);
}

TEST_CASE("settings that do not fit together are told") {
    CHECK(problems("SigningTable refile:/x\n") == "f:1: SigningTable needs a KeyTable\n");
    CHECK(problems("Domain example.com\nKeyFile /k\n") == "f:2: KeyFile needs a Selector\n");
    CHECK(problems("Domain example.com\n") ==
          "f:1: Domain needs KeyFile and Selector, or KeyTable and SigningTable\n");
    CHECK(problems("KeyFile /k\nKeyTable csl:a=b:c:/d\nSigningTable csl:*=a\n") ==
          "f:1: warning: KeyFile is not used for what the SigningTable signs; KeyTable has the keys\n");
}

TEST_CASE("the manual and the sample say what the table says") {
    std::string const folder = std::string(std::getenv("POSTERN_SOURCE")) + "/milter-dkim/";
    auto const manual = config::read_file(folder + "milter-dkim.conf.5.scd");
    REQUIRE(manual);
    for (auto const& row : settings_table().rows()) {
        auto heading = "\n*" + std::string(row.name) + "*";
        if (row.apply != nullptr)
            heading += row.default_text.empty() ? "\n\t" : " (" + std::string(row.default_text) + ")\n\t";
        INFO(heading);
        CHECK(manual->contains(heading));
    }
    auto const sample = config::read_file(folder + "opendkim.conf.sample");
    REQUIRE(sample);
    CHECK(sample->ends_with(config::defaults_text(default_rows(settings_table()), config::FileStyle::words)));
    CHECK(read_settings(folder + "opendkim.conf.sample", {}).problems.empty());
}

TEST_CASE("the configurations of real administrators read without an unknown name") {
    auto const* const corpus = postern::test::corpus_or_skip();
    if (corpus == nullptr) return;
    int read_files = 0;
    for (auto const& entry : std::filesystem::directory_iterator(std::string(corpus) + "/opendkim")) {
        auto const name = entry.path().filename().string();
        // Templates that are no configuration before they are filled, and a systemd unit.
        if (!name.starts_with("opendkim") || name.contains("Axione") || name.contains("galaxyproject") ||
            name.starts_with("opendkim-local"))
            continue;
        std::ifstream in(entry.path());
        std::string const text((std::istreambuf_iterator<char>(in)), {});
        ++read_files;
        for (auto const& problem : load(text).problems) {
            INFO(name << ": " << problem.to_string());
            bool const known = problem.severity == config::Problem::Severity::warning ||
                               // "inet:port@localhost" is a placeholder that its author left in
                               name.contains("pavelkova") || problem.text.contains("Domain needs KeyFile");
            CHECK(known);
        }
    }
    CHECK(read_files >= 20);
}
