// policyd-spf.conf, lists of networks and the per-user file.
#include "tests/unit/support/catch.h"

#include "policyd-spf/per_user.h"
#include "policyd-spf/settings.h"
#include "tests/unit/support/skip.h"

#include <filesystem>
#include <fstream>

using namespace postern;
using namespace postern::policyd_spf;

namespace {

std::vector<std::string> problems_of(std::string_view text) {
    std::vector<std::string> out;
    for (auto const& problem : parse_settings(text, "f").problems) out.push_back(problem.to_string());
    return out;
}
bool contains(Networks const& networks, std::string_view address) {
    return networks.contains(*spf::IpAddress::parse(address));
}

} // namespace

TEST_CASE("without a file the defaults are stock's built-in ones") {
    auto const settings = default_settings();
    CHECK(settings.debug_level == 1);
    CHECK_FALSE(settings.test_only);
    CHECK(settings.helo_reject == RejectPolicy::fail);
    CHECK(settings.mail_from_reject == RejectPolicy::fail);
    CHECK_FALSE(settings.permerror_reject);
    CHECK_FALSE(settings.hide_receiver);
    CHECK(settings.enhanced_status_codes);
    CHECK(settings.header_type == HeaderType::spf);
    CHECK(settings.void_limit == 2);
    CHECK(settings.lookup_time == std::chrono::seconds(20));
    CHECK(settings.reason_message == "Message {rejectdefer} due to: {spf}. Please see {url}");
    CHECK_FALSE(settings.authserv_id.empty());
    CHECK(contains(settings.skip_addresses, "127.0.0.9"));
    CHECK(contains(settings.skip_addresses, "::1"));
    CHECK(contains(settings.skip_addresses, "::ffff:127.0.0.1"));
    CHECK_FALSE(contains(settings.skip_addresses, "10.0.0.1"));
}

TEST_CASE("a file that is not there gives the defaults and stock's words") {
    auto const read = read_settings("/nonexistent/policyd-spf.conf");
    REQUIRE(read.problems.size() == 1);
    CHECK(read.problems[0].to_string() ==
          "ERROR stating \"/nonexistent/policyd-spf.conf\": No such file or directory");
    CHECK(config::has_errors(read.problems));
    CHECK(read.settings.debug_level == 1);
}

TEST_CASE("every mistake is told with its line, and the other lines count") {
    auto const problems =
        problems_of("debugLevel = two\nHELO_reject = fail\nHeader_Type = SPF,AR\nSkip_addresses = x\n"
                    "just words\nMail_From_reject = Softfail # with a comment\nVoid_Limit = 101\n");
    CHECK(problems ==
          std::vector<std::string>{
              "f:5: \"just words\" is not of the form \"name = value\"",
              "f:1: debugLevel: \"two\" is no number",
              "f:2: HELO_reject: \"fail\" is none of Fail, Softfail, SPF_Not_Pass, Null, False, No_Check; "
              "nothing is rejected",
              "f:3: Header_Type: \"SPF,AR\" is none of SPF, AR, None",
              "f:4: unknown setting \"Skip_addresses\"; did you mean \"skip_addresses\"?",
              "f:7: warning: Void_Limit: 101 counts as 100"});
    auto const settings = parse_settings("HELO_reject = fail\nMail_From_reject = Softfail#x\n", "f").settings;
    CHECK(settings.helo_reject == RejectPolicy::unknown);
    CHECK(settings.mail_from_reject == RejectPolicy::softfail);
}

TEST_CASE("TestOnly = 0 is test only, defaultSeedOnly is its old name, and TestOnly comes first") {
    auto const test_only = [](std::string_view text) { return parse_settings(text, "f").settings.test_only; };
    CHECK(test_only("TestOnly = 0"));
    CHECK_FALSE(test_only("TestOnly = 1"));
    CHECK(test_only("defaultSeedOnly = 0"));
    CHECK_FALSE(test_only("defaultSeedOnly = 0\nTestOnly = 1"));
    CHECK_FALSE(test_only("TestOnly = 1\ndefaultSeedOnly = 0"));
}

TEST_CASE("words that stock compares are compared the same, and a near miss is told") {
    CHECK(parse_settings("PermError_reject = True", "f").settings.permerror_reject);
    CHECK_FALSE(parse_settings("PermError_reject = true", "f").settings.permerror_reject);
    CHECK(problems_of("PermError_reject = true").size() == 1);
    CHECK(parse_settings("Hide_Receiver = Yes", "f").settings.hide_receiver);
    CHECK(parse_settings("Hide_Receiver = no", "f").settings.hide_receiver);
    CHECK_FALSE(parse_settings("SPF_Enhanced_Status_Codes = No", "f").settings.enhanced_status_codes);
}

TEST_CASE("Mock = False is off and QueueID is known, unlike in stock") {
    CHECK_FALSE(parse_settings("Mock = False", "f").settings.mock);
    CHECK(parse_settings("Mock = True", "f").settings.mock);
    CHECK_FALSE(parse_settings("QueueID = False", "f").settings.queue_id);
    CHECK(problems_of("QueueID = True").empty());
}

TEST_CASE("a wrong entry of a network list is told with its position and the others still count") {
    auto const read = parse_settings("Whitelist = 192.0.2.0/24, 10.0.0.0/99,nonsense,2001:db8::/32", "f");
    REQUIRE(read.problems.size() == 1);
    CHECK(read.problems[0].to_string() == "f:1: Whitelist: entry 2, \"10.0.0.0/99\", is no IP network; entry "
                                          "3, \"nonsense\", is no IP network; "
                                          "the other entries count");
    CHECK(contains(read.settings.whitelist, "192.0.2.7"));
    CHECK(contains(read.settings.whitelist, "2001:db8::7"));
}

TEST_CASE("host bits are taken with a warning") {
    auto const read = parse_settings("Whitelist = 192.0.2.7/24", "f");
    REQUIRE(read.problems.size() == 1);
    CHECK(read.problems[0].to_string() ==
          "f:1: warning: Whitelist: entry 1, \"192.0.2.7/24\", has host bits set; taken as 192.0.2.0/24");
    CHECK(contains(read.settings.whitelist, "192.0.2.200"));
}

TEST_CASE("a number that is none makes the file unusable, as in stock, and nothing else does") {
    for (auto const* name : {"debugLevel", "TestOnly", "defaultSeedOnly", "Lookup_Time",
                             "Whitelist_Lookup_Time", "Void_Limit", "Max_Connections", "DNS_Cache_Entries"}) {
        INFO(name);
        CHECK_FALSE(parse_settings(std::string(name) + " = O", "f").usable);
        CHECK_FALSE(parse_settings(std::string(name) + " =", "f").usable);
        CHECK_FALSE(parse_settings(std::string(name) + " = 1.5", "f").usable);
        CHECK_FALSE(config::has_errors(parse_settings(std::string(name) + " = +1", "f").problems));
    }
    CHECK(
        parse_settings("HELO_reject = x\nHeader_Type = x\nWhitelist = x\nnonsense\nNobody = 1", "f").usable);
    CHECK(read_settings("/nonexistent/policyd-spf.conf").usable);
    CHECK(read_settings("/").usable);
    CHECK(read_settings("/").problems[0].to_string().starts_with("ERROR: is not a file: \"/\", mode=0o40"));
}

TEST_CASE("a file that is there and cannot be read is unusable") {
    auto const path = std::filesystem::temp_directory_path() / ("large-" + std::to_string(::getpid()));
    std::ofstream(path) << std::string((1 << 20) + 1, '#');
    CHECK_FALSE(read_settings(path.string()).usable);
    std::filesystem::remove(path);
}

TEST_CASE("a number beyond what makes sense counts as the nearest that does, with a warning") {
    CHECK(problems_of("debugLevel = 9\nVoid_Limit = -1\nLookup_Time = 99999999999999999999") ==
          std::vector<std::string>{"f:1: warning: debugLevel: 9 counts as 5",
                                   "f:2: warning: Void_Limit: -1 counts as 0",
                                   "f:3: warning: Lookup_Time: 1000000000 counts as 1000"});
    auto const read = parse_settings("debugLevel = 9\nVoid_Limit = -1\nLookup_Time = 0", "f");
    CHECK(read.usable);
    CHECK(read.settings.debug_level == 5);
    CHECK(read.settings.void_limit == 0);
    CHECK(read.settings.lookup_time == std::chrono::seconds(1000)); // none but the request's own
}

TEST_CASE("our own settings are checked") {
    CHECK(parse_settings("Nameservers = 127.0.0.1@5353, ::1", "f").settings.nameservers ==
          std::vector<std::string>{"127.0.0.1@5353", "::1"});
    CHECK(problems_of("Nameservers = localhost").size() == 1);
    CHECK(problems_of("Metrics_Listen = nowhere:").size() == 1);
    CHECK(
        problems_of("Socket = local:/x\nMacroList = y") ==
        std::vector<std::string>{
            "f:1: warning: Socket has no effect: it belongs to the milter of the same package, pyspf-milter",
            "f:2: warning: MacroList has no effect: it belongs to the milter of the same package, "
            "pyspf-milter"});
}

TEST_CASE("files of real administrators are read without an error") {
    auto const* const corpus = postern::test::corpus_or_skip();
    if (corpus == nullptr) return;
    int files = 0;
    for (auto const& entry :
         std::filesystem::directory_iterator(std::filesystem::path(corpus) / "policyd-spf")) {
        auto const path = entry.path().string();
        if (path.ends_with(".j2") || path.ends_with(".tmpl")) continue; // templates
        INFO(path);
        CHECK_FALSE(config::has_errors(read_settings(path).problems));
        ++files;
    }
    CHECK(files >= 4);
}

TEST_CASE("the per-user line of the recipient changes the settings, others do not") {
    auto const common = parse_settings("TestOnly = 1\nHeader_Type = AR", "f").settings;
    std::string const file =
        "# comment\nann@a.example,HELO_reject=False|Mail_From_reject=No_Check|TestOnly=0\n"
        "bob@a.example, Header_Type=None\nann@a.example,TestOnly=1\n";
    auto const ann = parse_per_user(file, "u", common, "Ann@a.example");
    REQUIRE(ann.settings.has_value());
    CHECK(ann.problems.empty());
    CHECK(ann.settings->helo_reject == RejectPolicy::never);
    CHECK(ann.settings->mail_from_reject == RejectPolicy::no_check);
    CHECK(ann.settings->test_only);
    CHECK(ann.settings->header_type == HeaderType::ar);
    CHECK(parse_per_user(file, "u", common, "bob@a.example").settings->header_type == HeaderType::none);
    CHECK_FALSE(parse_per_user(file, "u", common, "eve@a.example").settings.has_value());
}

TEST_CASE("what a recipient may not set is told") {
    auto const out = parse_per_user("ann@a.example,Per_User=text,/x|Authserv-Id=mx.example|Void_Limit=x\n",
                                    "u", default_settings(), "ann@a.example");
    REQUIRE(out.problems.size() == 2);
    CHECK(out.problems[0].to_string() ==
          "ERROR: Unknown name \"Per_User\" in file \"u\" in per user settings");
    CHECK(out.problems[1].to_string() == "u:1: Void_Limit: \"x\" is no number");
    CHECK(out.settings->authserv_id == "mx.example");
}
