// --explain and --check-record: what is printed, wide and narrow, and what counts as good.
#include "tests/unit/support/catch.h"

#include "common/base/text.h"
#include "policyd-spf/explain.h"
#include "tests/unit/policyd-spf/bench.h"

using namespace postern;
using test::PolicyBench;

TEST_CASE("explain shows both identities, every term, every lookup and the counts") {
    PolicyBench at(
        "h.example TXT v=spf1 a -all\nh.example A 192.0.2.1\np.example TXT v=spf1 include:i.example -all\n"
        "i.example TXT v=spf1 ip4:10.0.0.0/8 mx ?all\n");
    auto const report =
        policyd_spf::explain(at.checker, *at.settings, "192.0.2.1", "h.example", "u@p.example");
    CHECK(report.good);
    CHECK(report.text == R"(HELO h.example from 192.0.2.1
  h.example: "v=spf1 a -all" (13 octets)
    a (1 of 10 lookups)
      lookup h.example A: 192.0.2.1
    a: matches
    a decides: pass
  lookups: 1 of 10, void lookups: 0 of 2
  result: pass (sender SPF authorized)

MAIL FROM u@p.example from 192.0.2.1
  p.example: "v=spf1 include:i.example -all" (29 octets)
    include:i.example (1 of 10 lookups)
      i.example: "v=spf1 ip4:10.0.0.0/8 mx ?all" (29 octets)
        ip4:10.0.0.0/8: does not match
        mx (2 of 10 lookups)
          lookup i.example MX: none (1 of 2 void lookups)
        mx: does not match
        ?all decides: neutral
    include:i.example: does not match
    -all decides: fail
  lookups: 2 of 10, void lookups: 1 of 2
    no answer: i.example MX
  result: fail (SPF fail - not authorized)
)");
    CHECK_FALSE(policyd_spf::explain(at.checker, *at.settings, "here", "h", "s").good);
}

TEST_CASE("explain tells of the null sender's HELO alone, and of clients that the daemon skips") {
    PolicyBench at("h.example TXT v=spf1 a -all\nh.example A 127.0.0.1\n");
    auto const report = policyd_spf::explain(at.checker, *at.settings, "127.0.0.1", "h.example", "<>");
    CHECK(report.text.starts_with("127.0.0.1 is in skip_addresses: the daemon does not check it.\n\nHELO "));
    CHECK_FALSE(report.text.contains("MAIL FROM"));
}

TEST_CASE("explain ends with an error where the DNS does not answer or a record is broken") {
    PolicyBench at("b.example TXT v=spf1 moo\nd.example TXT v=spf1 a:down.example -all\n");
    at.resolver.zone.fail("down.example");
    auto const ask = [&](std::string_view sender) {
        return policyd_spf::explain(at.checker, *at.settings, "192.0.2.1", "h.example", sender);
    };
    CHECK_FALSE(ask("u@b.example").good);
    CHECK(ask("u@b.example").text.contains("  result: permerror (SPF Permanent Error: Unknown mechanism"));
    CHECK_FALSE(ask("u@d.example").good);
    CHECK(ask("u@d.example").text.ends_with("  result: temperror (SPF Temporary Error: DNS SERVFAIL)\n"));
}

TEST_CASE("lines are broken between words to the width of the terminal, and whole without one") {
    std::string record = "p.example TXT v=spf1";
    for (int i = 0; i < 60; ++i) record += fmt::format(" ip4:198.51.100.{}", i);
    PolicyBench at(record + " -all\n");
    auto const longest = [&](policyd_spf::Width width) {
        auto const report =
            policyd_spf::explain(at.checker, *at.settings, "192.0.2.1", "h.example", "u@p.example", width);
        CHECK(report.text.contains("ip4:198.51.100.59"));
        std::size_t most = 0;
        for (auto const line : split(report.text, '\n')) most = std::max(most, line.size());
        return most;
    };
    CHECK(longest(80) <= 80);
    CHECK(longest(132) > 80);
    CHECK(longest(132) <= 132);
    CHECK(longest(0) > 1000);
}

TEST_CASE("check-record tells a good record from one that is not") {
    PolicyBench at("good.example TXT v=spf1 a ip4:203.0.113.0/24 exists:%{i}.l.example -all\n"
                   "good.example A 192.0.2.1\nopen.example TXT v=spf1 ip4:0.0.0.0/1 ip4:128.0.0.0/1 -all\n"
                   "void.example TXT v=spf1 a:gone.example -all\nbroken.example TXT v=spf1 moo\n");
    at.resolver.zone.txt("long.example", "v=spf1" + std::string(441, ' ') + "-all");
    at.resolver.zone.txt("fits.example", "v=spf1" + std::string(440, ' ') + "-all");
    auto const check = [&](std::string_view domain) {
        return policyd_spf::check_record(at.checker, *at.settings, domain);
    };
    CHECK(check("good.example").good);
    CHECK(check("good.example").text == R"(good.example for an IPv4 client that no term lists
  good.example: "v=spf1 a ip4:203.0.113.0/24 exists:%{i}.l.example -all" (54 octets)
    a (1 of 10 lookups)
      lookup good.example A: 192.0.2.1
    a: does not match
    ip4:203.0.113.0/24: does not match
    exists:%{i}.l.example (2 of 10 lookups)
      lookup 0.0.0.1.l.example A: none (1 of 2 void lookups)
    exists:%{i}.l.example: does not match
    -all decides: fail
  lookups: 2 of 10, void lookups: 1 of 2
    no answer: 0.0.0.1.l.example A
  result: fail (SPF fail - not authorized)
the same for an IPv6 client
  lookups: 2 of 10, void lookups: 2 of 2
    no answer: good.example AAAA
    no answer: 0.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.l.example A
  result: fail (SPF fail - not authorized)
longest record: 54 octets
good
)");
    CHECK_FALSE(check("void.example").good);
    CHECK(check("void.example").text.contains("remove what has no answer from the record: gone.example\n"));
    CHECK_FALSE(check("broken.example").good);
    CHECK_FALSE(check("none.example").good);
    CHECK(check("open.example").text.contains("lets everybody send"));
    CHECK(check("long.example").good);
    CHECK_FALSE(check("fits.example").text.contains("may not fit"));
    CHECK(check("long.example").text.contains("more than 450 octets may not fit"));
}

TEST_CASE("check-record finds the record that only IPv6 clients run into the void limit with") {
    PolicyBench at("v4.example TXT v=spf1 a:a.example a:b.example a:c.example -all\na.example A 192.0.2.1\n"
                   "b.example A 192.0.2.2\nc.example A 192.0.2.3\n");
    auto const report = policyd_spf::check_record(at.checker, *at.settings, "v4.example");
    CHECK_FALSE(report.good);
    CHECK(report.text.contains("hosts without IPv6 addresses are void lookups for an IPv6 client"));
    CHECK_FALSE(report.text.contains("remove what has no answer"));
}
