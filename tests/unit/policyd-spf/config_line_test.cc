// The settings as debugLevel 3 logs them.
#include "tests/unit/support/catch.h"

#include "policyd-spf/config_line.h"
#include "policyd-spf/python_text.h"
#include "tests/unit/policyd-spf/bench.h"

using namespace postern;
using namespace postern::policyd_spf;

TEST_CASE("the Config line is the dictionary that python policyd-spf logs") {
    auto const read = parse_settings("Whitelist = 192.0.2.0/24\nAuthserv_Id = mx.example\ndebugLevel = 3\n"
                                     "Reason_Message = it's {spf}\nVoid_Limit = many\nNo_Mail = True\n"
                                     "Whitelist = 198.51.100.1\n",
                                     "f");
    CHECK(read.problems.size() == 1); // Void_Limit, which keeps its default
    CHECK(config_line(read.settings) ==
          "{'debugLevel': 3, 'HELO_reject': 'Fail', 'Mail_From_reject': 'Fail', 'PermError_reject': 'False', "
          "'TempError_Defer': 'False', 'skip_addresses': '127.0.0.0/8,::ffff:127.0.0.0/104,::1', 'TestOnly': "
          "1, 'SPF_Enhanced_Status_Codes': 'Yes', 'Header_Type': 'SPF', 'Hide_Receiver': 'No', "
          "'Authserv_Id': 'mx.example', 'Lookup_Time': 20, 'Whitelist_Lookup_Time': 10, 'Void_Limit': 2, "
          "'Reason_Message': \"it's {spf}\", 'No_Mail': 'True', 'Mock': False, 'QueueID': True, "
          "'Whitelist': '198.51.100.1'}");
}

TEST_CASE("a default of No_Mail is bare and a wrong entry of a list is still shown") {
    auto const line = config_line(parse_settings("skip_addresses = 192.0.2.1,nonsense", "f").settings);
    CHECK(line.contains("'skip_addresses': '192.0.2.1,nonsense', "));
    CHECK(line.contains("'No_Mail': False, "));
}

TEST_CASE("texts are quoted as Python quotes them") {
    CHECK(quoted("a") == "'a'");
    CHECK(quoted("it's") == "\"it's\"");
    CHECK(quoted("it's \"x\"") == "'it\\'s \"x\"'");
    CHECK(quoted("a\\b") == "'a\\\\b'");
}

TEST_CASE("debugLevel 3 logs the settings and what was done, also when that is nothing") {
    test::PolicyBench at("", "debugLevel = 3\nAuthserv_Id = mx.example");
    at.all("queue_id=1\n\n");
    std::vector<std::string> lines;
    for (auto const& line : at.log.lines()) lines.push_back(line.text);
    CHECK(lines == std::vector<std::string>{"Starting", "Config: " + config_line(*at.settings),
                                            "spfcheck: No client address, exiting",
                                            "Action: None: Text: None Reject action: 550 5.7.23",
                                            "Normal exit"});
    auto const request = test::PolicyBench::request("127.0.0.1", "h", "u@x");
    at.all(request + request);
    CHECK(at.log.contains("Action: dunno: Text: Header already pre-pended Reject action: 550 5.7.23"));
}

TEST_CASE("debugLevel 4 names the lists that are set") {
    test::PolicyBench at("", "debugLevel = 4\nWhitelist = 192.0.2.1\nHELO_Whitelist = h.example");
    at.action("192.0.2.9", "h", "u@x");
    CHECK(at.log.contains("skip_addresses enabled."));
    CHECK(at.log.contains("Whitelist enabled."));
    CHECK(at.log.contains("HELO Domain Whitelist enabled."));
    CHECK_FALSE(at.log.contains("PTR Domain Whitelist enabled."));
}

TEST_CASE("debugLevel 4 shows where a recipient's settings come from and what they are") {
    test::PolicyBench at("", "debugLevel = 4\nPer_User = text,/dev/null/none");
    at.action("127.0.0.1", "h", "u@x", "Ann@x.example");
    CHECK(at.log.contains("Starting to process per-user settings"));
    CHECK(at.log.contains("User data: text,/dev/null/none"));
    CHECK(at.log.contains("Reading per user data (type text) from:  \"/dev/null/none\""));
    CHECK(at.log.contains("Per-user settings for \"ann@x.example\": \"" + config_line(*at.settings) + "\""));
    CHECK(at.log.expect("/dev/null/none"));
}
