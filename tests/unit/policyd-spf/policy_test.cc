// Which checks, in which order, and what becomes of their results.
#include "tests/unit/support/catch.h"

#include "tests/unit/policyd-spf/bench.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

using namespace postern;
using namespace postern::policyd_spf;
using test::PolicyBench;

namespace {

constexpr std::string_view zone = "pass.example TXT v=spf1 ip4:192.0.2.1 -all\nfail.example TXT v=spf1 -all\n"
                                  "soft.example TXT v=spf1 ~all\nneutral.example TXT v=spf1 ?all\n"
                                  "broken.example TXT v=spf1 moo\nnone.example A 192.0.2.9\n"
                                  "sends.example TXT v=spf1 ip4:203.0.113.1 -all\n";
constexpr std::string_view client = "192.0.2.1";

// "prepend", "reject", "defer", "dunno" or the action.
std::string kind(PolicyBench& at, std::string_view helo, std::string_view sender) {
    auto const action = at.action(client, helo, sender);
    if (action.starts_with("prepend ")) return "prepend";
    if (action.starts_with("550 ")) return "reject";
    if (action.starts_with("defer_if_permit ")) return "defer";
    return action;
}
std::string with(std::string_view configuration, std::string_view helo, std::string_view sender) {
    PolicyBench at(zone, configuration);
    at.resolver.zone.fail("down.example");
    return kind(at, helo, sender);
}

} // namespace

TEST_CASE("which results each word of Mail_From_reject rejects") {
    for (auto const* result : {"fail", "soft", "neutral", "broken", "none", "pass"}) {
        auto const sender = "u@" + std::string(result) + ".example";
        std::string_view const name = result;
        INFO(sender);
        auto const by = [&](std::string_view word) {
            return with("HELO_reject = No_Check\nMail_From_reject = " + std::string(word), "h.example",
                        sender);
        };
        bool const fails = name == "fail";
        bool const soft = fails || name == "soft";
        bool const not_pass = soft || name == "neutral";
        CHECK(by("Fail") == (fails ? "reject" : "prepend"));
        CHECK(by("Softfail") == (soft ? "reject" : "prepend"));
        CHECK(by("SPF_Not_Pass") == (not_pass ? "reject" : "prepend"));
        CHECK(by("False") == "prepend");
        CHECK(by("No_Check") == "dunno");
        CHECK(by("nonsense") == "prepend");
    }
}

TEST_CASE("HELO results are rejected before MAIL FROM is looked at") {
    PolicyBench at(zone);
    CHECK(kind(at, "fail.example", "u@pass.example") == "reject");
    CHECK(at.resolver.questions() == std::vector<std::string>{"fail.example TXT"});
    CHECK(with("HELO_reject = False", "fail.example", "u@pass.example") == "prepend");
    CHECK(with("HELO_reject = No_Check", "fail.example", "u@pass.example") == "prepend");
    CHECK(with("HELO_reject = Softfail", "soft.example", "u@pass.example") == "reject");
    CHECK(with("HELO_reject = Null", "fail.example", "u@pass.example") == "prepend");
    CHECK(with("HELO_reject = Null", "fail.example", "") == "reject");
    CHECK(with("HELO_reject = No_Check", "fail.example", "") == "dunno");
}

TEST_CASE("errors are refused when asked for, but not where the scope says False") {
    CHECK(with("PermError_reject = True", "none.example", "u@broken.example") == "reject");
    CHECK(with("PermError_reject = True\nMail_From_reject = False", "none.example", "u@broken.example") ==
          "prepend");
    CHECK(with("PermError_reject = True", "broken.example", "") == "reject");
    CHECK(with("TempError_Defer = True", "none.example", "u@down.example") == "defer");
    CHECK(with("TempError_Defer = True\nMail_From_reject = False", "none.example", "u@down.example") ==
          "prepend");
    CHECK(with("TempError_Defer = True", "down.example", "u@pass.example") == "defer");
    CHECK(with("", "down.example", "u@pass.example") == "prepend");
}

TEST_CASE("pass restrictions answer their action, and a HELO pass beats a MAIL FROM fail") {
    CHECK(with("Mail_From_pass_restriction = good_sender", "none.example", "u@pass.example") ==
          "good_sender");
    CHECK(with("Mail_From_pass_restriction = good_sender", "none.example", "u@fail.example") == "reject");
    CHECK(with("HELO_pass_restriction = good_helo", "pass.example", "") == "good_helo");
    CHECK(with("HELO_pass_restriction = good_helo", "pass.example", "u@fail.example") == "good_helo");
}

TEST_CASE("No_Mail rejects only for domains that send none") {
    CHECK(with("No_Mail = True", "none.example", "u@fail.example") == "reject");
    CHECK(with("No_Mail = True", "none.example", "u@sends.example") == "prepend");
    CHECK(with("No_Mail = True", "sends.example", "") == "prepend");
    CHECK(with("No_Mail = True", "fail.example", "") == "reject");
    PolicyBench two("two.example TXT v=spf1 -all\ntwo.example TXT v=spf1 +all\n",
                    "No_Mail = True\nPermError_reject = True");
    CHECK(kind(two, "none.example", "u@two.example") == "prepend"); // whichever record comes first
}

TEST_CASE("Reject_Not_Pass_Domains rejects what is in or below a listed domain") {
    CHECK(with("Reject_Not_Pass_Domains = soft.example", "none.example", "u@soft.example") == "reject");
    CHECK(with("Reject_Not_Pass_Domains = mail.soft.example", "none.example", "u@soft.example") == "prepend");
    PolicyBench at("sub.soft.example TXT v=spf1 ~all\n", "Reject_Not_Pass_Domains = x.example,Soft.example");
    CHECK(at.action(client, "none.example", "u@sub.soft.example") ==
          "550 5.7.23 Message rejected due to: Receiver policy for SPF Softfail. Please see "
          "http://www.openspf.net/Why?s=mfrom;id=u@sub.soft.example;ip=192.0.2.1;r=postern.example");
    CHECK(with("Reject_Not_Pass_Domains = pass.example", "none.example", "u@pass.example") == "prepend");
}

TEST_CASE("TestOnly = 0 turns refusals into dunno and keeps header fields") {
    PolicyBench at(zone, "TestOnly = 0");
    CHECK(kind(at, "none.example", "u@fail.example") == "dunno");
    CHECK(kind(at, "none.example", "u@pass.example") == "prepend");
    CHECK_FALSE(at.log.contains("550"));
}

TEST_CASE("requests without what is needed get dunno") {
    PolicyBench at(zone, "debugLevel = 2");
    CHECK(at.all("\n") == "action=dunno\n\n");
    CHECK(at.log.contains("spfcheck: No client address, exiting"));
    CHECK(at.all("client_address=192.0.2.1\n\n") == "action=dunno\n\n");
    CHECK(at.log.contains("spfcheck: No sender or helo, exiting"));
    CHECK(at.all("client_address=unknown\nhelo_name=h.example\nsender=u@fail.example\n\n") ==
          "action=dunno\n\n");
    CHECK(at.log.contains("spfcheck: client_address \"unknown\" is no IP address, not checked"));
    at.configure("Mock = True");
    CHECK(at.all("client_address=192.0.2.1\n\n") ==
          "action=dunno mock header field that should be ignored\n\n");
}

TEST_CASE("an empty HELO is replaced by the sender's domain, also in the header") {
    PolicyBench at(zone);
    CHECK(at.action(client, "", "u@pass.example").contains("helo=pass.example; "));
    CHECK(at.action(client, "", "nodomain").contains("helo=unknown; "));
}

TEST_CASE("whitelists are asked in order and only skip whom they name") {
    constexpr std::string_view more =
        "relay.example TXT v=spf1 ip4:192.0.2.1 -all\nhelo.example A 192.0.2.1\n"
        "1.2.0.192.in-addr.arpa PTR mail.trusted.example\n"
        "mail.trusted.example A 192.0.2.1\nfail.example TXT v=spf1 -all\n";
    auto const skipped = [&](std::string_view configuration, std::string_view helo = "x.example") {
        auto const action = PolicyBench(more, configuration).action(client, helo, "u@fail.example");
        auto const begin = action.find("X-Comment: ");
        return begin == std::string::npos ? "checked"
                                          : action.substr(begin + 11, action.find(" - ") - begin - 11);
    };
    CHECK(skipped("Domain_Whitelist = other.example,relay.example") ==
          "SPF skipped for whitelisted relay domain");
    CHECK(skipped("Domain_Whitelist = fail.example") == "checked");
    CHECK(skipped("HELO_Whitelist = helo.example", "HELO.example") ==
          "SPF skipped for whitelisted HELO domain");
    CHECK(skipped("HELO_Whitelist = helo.example", "x.helo.example") == "checked");
    CHECK(skipped("HELO_Whitelist = mail.trusted.example,nobody.example", "nobody.example") == "checked");
    CHECK(skipped("Domain_Whitelist_PTR = trusted.example") ==
          "SPF skipped for PTR whitelisted relay domain");
    CHECK(skipped("Domain_Whitelist_PTR = .trusted.example") ==
          "SPF skipped for PTR whitelisted relay domain");
    CHECK(skipped("Domain_Whitelist_PTR = rusted.example") == "checked");
    CHECK(skipped("Whitelist = 192.0.2.1\nDomain_Whitelist = relay.example") ==
          "SPF skipped for whitelisted relay");
}

TEST_CASE("a reverse name that does not lead back to the client skips nobody") {
    PolicyBench at("1.2.0.192.in-addr.arpa PTR mail.trusted.example\nmail.trusted.example A 203.0.113.1\n"
                   "fail.example TXT v=spf1 -all\n",
                   "Domain_Whitelist_PTR = trusted.example");
    CHECK(kind(at, "x.example", "u@fail.example") == "reject");
}

TEST_CASE("one header field a message: later recipients get dunno, refusals are repeated") {
    PolicyBench at(zone);
    auto const two = [&](std::string_view sender) {
        return at.all(PolicyBench::request(client, "none.example", sender, "a@one.example", "i1") +
                      PolicyBench::request(client, "none.example", sender, "b@two.example", "i1"));
    };
    CHECK(two("u@pass.example") == "action=prepend Received-SPF: Pass (mailfrom) identity=mailfrom; "
                                   "client-ip=192.0.2.1; helo=none.example; "
                                   "envelope-from=u@pass.example; receiver=one.example \n\naction=dunno\n\n");
    std::string const refused =
        "action=550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see "
        "http://www.openspf.net/Why?s=mfrom;id=u@fail.example;ip=192.0.2.1;r=one.example\n\n";
    CHECK(two("u@fail.example") == refused + refused);
    CHECK(at.all(PolicyBench::request("127.0.0.1", "h", "u@x", "a@one.example", "i1") +
                 PolicyBench::request("127.0.0.1", "h", "u@x", "b@two.example", "i1"))
              .ends_with(" \n\naction=dunno\n\n"));
}

TEST_CASE("an error that is refused is 5.7.24 for every recipient") {
    PolicyBench at(zone, "PermError_reject = True");
    auto const request = PolicyBench::request(client, "none.example", "u@broken.example");
    auto const reply = at.all(request + request);
    CHECK(reply.starts_with("action=550 5.7.24 Message rejected due to: SPF Permanent Error: "));
    CHECK(reply == reply.substr(0, reply.size() / 2) + reply.substr(0, reply.size() / 2));
    CHECK(with("PermError_reject = True\nSPF_Enhanced_Status_Codes = No", "broken.example", "") == "reject");
}

TEST_CASE("the memory of messages is bounded and belongs to the connection") {
    Instances instances;
    for (std::size_t i = 0; i < Instances::limit + 10; ++i)
        instances.remember(std::to_string(i), {Answer::Kind::prepend, "x"});
    CHECK(instances.size() == Instances::limit);
    CHECK(instances.find("9") == nullptr);
    REQUIRE(instances.find("10") != nullptr);
    instances.remember("", {Answer::Kind::prepend, "x"});
    CHECK(instances.find("") == nullptr);
    PolicyBench at(zone);
    CHECK(kind(at, "none.example", "u@pass.example") == "prepend");
    CHECK(kind(at, "none.example", "u@pass.example") == "prepend"); // another connection
}

TEST_CASE("a recipient with settings of its own is checked by them, with its whole address") {
    auto const path = std::filesystem::temp_directory_path() / ("peruser-" + std::to_string(::getpid()));
    std::ofstream(path) << "ann@postern.example,Mail_From_reject=False\n";
    PolicyBench at(zone, "Per_User = text," + path.string() + "\nHide_Receiver = Yes\ndebugLevel = 2");
    CHECK(at.action(client, "none.example", "u@fail.example", "Ann@postern.example") ==
          "prepend Received-SPF: Fail (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=none.example; "
          "envelope-from=u@fail.example; receiver=ann@postern.example ");
    CHECK(at.log.contains("Per user configuration data in use for: ann@postern.example"));
    CHECK(at.action(client, "none.example", "u@fail.example", "bob@postern.example")
              .ends_with(";r=bob@postern.example"));
    auto const both =
        at.all(PolicyBench::request(client, "none.example", "u@pass.example", "bob@postern.example", "i") +
               PolicyBench::request(client, "none.example", "u@pass.example", "ann@postern.example", "i"));
    CHECK(both.ends_with("receiver=bob@postern.example \n\naction=dunno\n\n"));
    std::filesystem::remove(path);
    CHECK(at.action(client, "none.example", "u@fail.example", "ann@postern.example").starts_with("550 "));
    CHECK(at.log.expect("No such file or directory"));
}

TEST_CASE("log lines are stock's") {
    PolicyBench at(zone);
    at.action(client, "none.example", "u@pass.example");
    CHECK(
        at.log.lines().back().text ==
        ": prepend Received-SPF: Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=none.example; "
        "envelope-from=u@pass.example; receiver=postern.example ");
    at.action(client, "none.example", "u@fail.example");
    CHECK(at.log.lines().back().text ==
          ": 550 5.7.23 Message rejected due to: SPF fail - not authorized. Please see "
          "http://www.openspf.net/Why?s=mfrom;id=u@fail.example;ip=192.0.2.1;r=postern.example");
    at.configure("debugLevel = 2");
    at.all("client_address=192.0.2.1\nhelo_name=pass.example\nsender=\nqueue_id=4ABC\n\n");
    CHECK(at.log.contains("spfcheck: pyspf result: \"['Pass', 'sender SPF authorized', 'helo']\""));
    CHECK(at.log.contains(
        "Pass; identity=helo; client-ip=192.0.2.1; helo=pass.example; envelope-from=<>; receiver=none "));
    CHECK(at.log.contains("4ABC: prepend Received-SPF: Pass (sender SPF authorized) identity=helo; "));
    at.configure("debugLevel = 4");
    at.all("nonsense\nclient_address=192.0.2.1\n\n");
    for (auto const* line :
         {"Starting", "Read line: \"nonsense\"", "ERROR: Could not match line \"nonsense\"",
          "Found the end of entry", "Normal exit"})
        CHECK(at.log.contains(line));
    auto const before = at.log.lines().size();
    at.configure("debugLevel = -1");
    at.all("nonsense\nclient_address=unknown\n\n");
    CHECK(at.log.lines().size() == before);
}

TEST_CASE("void lookups are logged by name") {
    PolicyBench at("v.example TXT v=spf1 a:x.example a:y.example a:z.example ?all\n");
    at.action(client, "none.example", "u@v.example");
    CHECK(at.log.contains(
        "spfcheck: void_limit=2 domain=v.example void_lookups=x.example A,y.example A,z.example A"));
}

TEST_CASE("a private client that fails gets a hint, once a connection") {
    for (auto const& [helo, sender] :
         {std::pair("none.example", "u@fail.example"), std::pair("fail.example", "u@pass.example"),
          std::pair("fail.example", "")}) {
        INFO(helo << " " << sender);
        PolicyBench at(zone);
        auto const reply = at.all(PolicyBench::request("172.17.0.1", helo, sender, "a@b", "1") +
                                  PolicyBench::request("172.17.0.1", helo, sender, "a@b", "2"));
        CHECK(reply.starts_with("action=550 "));
        CHECK(std::ranges::count_if(at.log.lines(), [](test::TestLog::Line const& line) {
                  return line.text.contains("is a private address and fails SPF");
              }) == 1);
        CHECK(at.log.expect("is a private address and fails SPF"));
    }
    PolicyBench at(zone);
    at.action(client, "none.example", "u@fail.example"); // a public one
    CHECK_FALSE(at.log.contains("private address"));
}
