// check_host(): results, limits, explanations, time.
#include "tests/unit/support/catch.h"

#include "common/spf/check.h"
#include "tests/unit/spf/plain_engine.h"
#include "tests/unit/support/fake_resolver.h"

using namespace postern;
using namespace postern::spf;
using namespace std::chrono_literals;

namespace {

struct Bench {
    test::FakeResolver resolver;
    std::unique_ptr<Engine> engine = make_libspf2_engine();
    CheckLimits limits;

    explicit Bench(std::string_view records) { resolver.zone.lines(records); }
    Outcome outcome(std::string_view client = "192.0.2.1", std::string_view sender = "user@example.com",
                    std::string_view helo = "mail.example.net") {
        Query const query{*IpAddress::parse(client), std::string(sender), std::string(helo)};
        auto const other = Checker(resolver, test::PlainEngine()).check(query, limits);
        resolver.forget_questions();
        auto const out = Checker(resolver, *engine).check(query, limits);
        CHECK(out.verdict == other.verdict);
        CHECK(out.explanation == other.explanation);
        return out;
    }
    std::string verdict(std::string_view client = "192.0.2.1", std::string_view sender = "user@example.com") {
        return std::string(to_string(outcome(client, sender).verdict));
    }
};

} // namespace

TEST_CASE("the seven results") {
    CHECK(Bench("example.com TXT v=spf1 ip4:192.0.2.1 -all").verdict() == "pass");
    CHECK(Bench("example.com TXT v=spf1 -all").verdict() == "fail");
    CHECK(Bench("example.com TXT v=spf1 ~all").verdict() == "softfail");
    CHECK(Bench("example.com TXT v=spf1").verdict() == "neutral");
    CHECK(Bench("example.com TXT something else").verdict() == "none");
    CHECK(Bench("").verdict() == "none");
    CHECK(Bench("example.com TXT v=spf1 moo").verdict() == "permerror");
    Bench failing("");
    failing.resolver.zone.fail("example.com");
    auto const temperror = failing.outcome();
    CHECK(temperror.verdict == Verdict::temperror);
    CHECK(temperror.explanation == "SPF Temporary Error: DNS SERVFAIL");
}

TEST_CASE("explanations are stock's words") {
    CHECK(Bench("example.com TXT v=spf1 +all").outcome().explanation == "sender SPF authorized");
    CHECK(Bench("example.com TXT v=spf1 -all").outcome().explanation == "SPF fail - not authorized");
    CHECK(Bench("example.com TXT v=spf1 ~all").outcome().explanation ==
          "domain owner discourages use of this host");
    CHECK(Bench("example.com TXT v=spf1 ?all").outcome().explanation ==
          "access neither permitted nor denied");
    CHECK(Bench("example.com TXT v=spf1 moo").outcome().explanation ==
          "SPF Permanent Error: Unknown mechanism found: moo");
    CHECK(Bench("").outcome().explanation.empty());
}

TEST_CASE("names that cannot have a record give none without a question") {
    Bench bench("");
    for (auto const* sender :
         {"user@[192.0.2.1]", "user@localhost", "user@a..example.com", "user@example.com."}) {
        CHECK(bench.verdict("192.0.2.1", sender) == "none");
        CHECK(bench.resolver.questions().empty());
    }
    CHECK(bench.verdict("192.0.2.1", "user@" + std::string(64, 'a')) == "none");
}

TEST_CASE("the HELO identity is postmaster at the HELO name") {
    Bench bench("mail.example.net TXT v=spf1 exists:%{l}.%{o}.%{h}.example -all\n"
                "postmaster.mail.example.net.mail.example.net.example A 127.0.0.2");
    CHECK(bench.outcome("192.0.2.1", "", "mail.example.net").verdict == Verdict::pass);
}

TEST_CASE("a quoted local part with an at sign does not choose the domain") {
    CHECK(split_sender("\"a@good.example\"@evil.example", "").domain == "evil.example");
    CHECK(split_sender("@example.com", "").local_part == "postmaster");
    CHECK(split_sender("example.com", "").domain == "example.com");
}

TEST_CASE("two records are permerror, other TXT records are nothing") {
    CHECK(Bench("example.com TXT v=spf1 -all\nexample.com TXT v=spf1 +all").outcome().explanation ==
          "SPF Permanent Error: Two or more type TXT spf records found.");
    CHECK(Bench("example.com TXT \x96\nexample.com TXT v=spf1 -all").verdict() == "fail");
}

TEST_CASE("an IPv4-mapped client is the IPv4 client") {
    CHECK(Bench("example.com TXT v=spf1 ip4:192.0.2.1 -all").verdict("::ffff:192.0.2.1") == "pass");
    CHECK(Bench("example.com TXT v=spf1 a -all\nexample.com A 192.0.2.1").verdict("::ffff:192.0.2.1") ==
          "pass");
    CHECK(Bench("example.com TXT v=spf1 ip6:::ffff:192.0.2.1 -all").verdict("::ffff:192.0.2.1") == "fail");
}

TEST_CASE("loopback clients get no free ride") {
    CHECK(Bench("example.com TXT v=spf1 -all").verdict("127.0.0.1") == "fail");
    CHECK(Bench("example.com TXT v=spf1 -all").verdict("::1") == "fail");
}

TEST_CASE("a and mx compare networks, prefix 0 included") {
    CHECK(Bench("example.com TXT v=spf1 a/24 -all\nexample.com A 192.0.2.200").verdict() == "pass");
    CHECK(Bench("example.com TXT v=spf1 a/25 -all\nexample.com A 192.0.2.200").verdict() == "fail");
    CHECK(Bench("example.com TXT v=spf1 a/0 -all\nexample.com A 10.0.0.1").verdict() == "pass");
    CHECK(Bench("example.com TXT v=spf1 a/0 -all").verdict() == "fail");
    CHECK(Bench("example.com TXT v=spf1 mx//0 -all\nexample.com MX 1 m.example\nm.example AAAA ::1")
              .verdict("2001:db8::1") == "pass");
    CHECK(Bench("example.com TXT v=spf1 mx -all\nexample.com MX 1 .").verdict() == "fail");
}

TEST_CASE("ten lookups are allowed over the whole check, eleven are permerror") {
    std::string const records =
        "example.com A 10.0.0.1\ninc.example TXT v=spf1 a a a a a a a a ?all\ninc.example A 10.0.0.2\n";
    Bench at(records + "example.com TXT v=spf1 a include:inc.example ip4:192.0.2.1 mx -all");
    CHECK(at.verdict() == "pass");
    CHECK(at.outcome().lookups == 10);
    Bench over(records + "example.com TXT v=spf1 a include:inc.example a ip4:192.0.2.1 -all");
    CHECK(over.outcome().explanation == "SPF Permanent Error: Too many DNS lookups");
}

TEST_CASE("includes that fan out stop at the tenth lookup") {
    std::string records = "example.com TXT v=spf1";
    for (int i = 0; i < 10; ++i) records += fmt::format(" include:l{}.example", i);
    for (auto const* names : {"lm", "ml"}) // l includes every m, m every l
        for (int n = 0; n < 10; ++n) {
            records += fmt::format("\n{}{}.example TXT v=spf1", names[0], n);
            for (int i = 0; i < 10; ++i) records += fmt::format(" include:{}{}.example", names[1], i);
        }
    Bench bench(records);
    CHECK(bench.outcome().explanation == "SPF Permanent Error: Too many DNS lookups");
    CHECK(bench.resolver.questions().size() == 11);
}

TEST_CASE("redirect loops and include loops are permerror") {
    CHECK(Bench("example.com TXT v=spf1 redirect=example.com").verdict() == "permerror");
    CHECK(Bench("example.com TXT v=spf1 include:a.example\na.example TXT v=spf1 include:example.com")
              .verdict() == "permerror");
}

TEST_CASE("an include of the own domain is named as what it is") {
    CHECK(Bench("example.com TXT v=spf1 include:Example.com -all").outcome().explanation ==
          "SPF Permanent Error: include has trivial recursion: include:Example.com");
}

TEST_CASE("two void lookups are allowed, three are permerror, and the names are kept") {
    CHECK(Bench("example.com TXT v=spf1 a:x.example a:y.example ?all").verdict() == "neutral");
    Bench over("example.com TXT v=spf1 a:x.example mx:y.example a:z.example ?all");
    auto const outcome = over.outcome();
    CHECK(outcome.explanation == "SPF Permanent Error: Void lookup limit of 2 exceeded");
    CHECK(outcome.void_names == std::vector<std::string>{"x.example A", "y.example MX", "z.example A"});
    over.limits.void_lookups = 3;
    CHECK(over.verdict() == "neutral");
}

TEST_CASE("ten MX names are looked at, eleven are permerror") {
    std::string records = "example.com TXT v=spf1 mx -all\n";
    for (int i = 0; i < 10; ++i)
        records += fmt::format("example.com MX {} m{}.example\nm{}.example A 10.0.0.{}\n", i, i, i, i);
    CHECK(Bench(records + "m9.example A 192.0.2.1").verdict() == "pass");
    CHECK(Bench(records + "example.com MX 99 m0.example").outcome().explanation ==
          "SPF Permanent Error: More than 10 MX records returned");
}

TEST_CASE("ptr needs a name below the domain whose address is the client's") {
    std::string const spf = "example.com TXT v=spf1 ptr -all\n";
    CHECK(Bench(spf + "1.2.0.192.in-addr.arpa PTR m.EXAMPLE.com\nm.example.com A 192.0.2.1").verdict() ==
          "pass");
    CHECK(Bench(spf + "1.2.0.192.in-addr.arpa PTR m.example.com\nm.example.com A 192.0.2.2").verdict() ==
          "fail");
    CHECK(Bench(spf + "1.2.0.192.in-addr.arpa PTR badexample.com\nbadexample.com A 192.0.2.1").verdict() ==
          "fail");
    Bench failing(spf);
    failing.resolver.zone.fail("1.2.0.192.in-addr.arpa");
    CHECK(failing.verdict() == "fail");
    std::string many = spf;
    for (int i = 0; i < 11; ++i) many += fmt::format("1.2.0.192.in-addr.arpa PTR m{}.example.com\n", i);
    CHECK(Bench(many + "m9.example.com A 192.0.2.1").verdict() == "pass");
    CHECK(Bench(many + "m10.example.com A 192.0.2.1").verdict() == "fail");
}

TEST_CASE("include passes on errors, and nothing but a pass matches") {
    auto const with = [](std::string_view inner) {
        return Bench("example.com TXT v=spf1 include:inc.example ~all\ninc.example TXT " + std::string(inner))
            .verdict();
    };
    CHECK(with("v=spf1 +all") == "pass");
    CHECK(with("v=spf1 -all") == "softfail");
    CHECK(with("v=spf1 ?all") == "softfail");
    CHECK(with("v=spf1 moo") == "permerror");
    CHECK(with("nothing") == "permerror");
    Bench failing("example.com TXT v=spf1 include:inc.example ~all");
    failing.resolver.zone.fail("inc.example");
    CHECK(failing.verdict() == "temperror");
    CHECK(Bench("example.com TXT v=spf1 include:no.example -all").outcome().explanation ==
          "SPF Permanent Error: No valid SPF record for included domain: no.example: include:no.example");
}

TEST_CASE("redirect counts only when nothing matches, wherever it stands, and changes the domain") {
    CHECK(Bench("example.com TXT v=spf1 redirect=example.com ~all").verdict() == "softfail");
    CHECK(Bench("example.com TXT v=spf1 redirect=b.example ip4:192.0.2.1\nb.example TXT v=spf1 -all")
              .verdict() == "pass");
    CHECK(
        Bench("example.com TXT v=spf1 redirect=b.example\nb.example TXT v=spf1 a -all\nb.example A 192.0.2.1")
            .verdict() == "pass");
    CHECK(Bench("example.com TXT v=spf1 redirect=b.example").outcome().explanation ==
          "SPF Permanent Error: redirect domain has no SPF record: b.example");
}

TEST_CASE("the explanation is the domain's own, of the record that decided") {
    auto const with = [](std::string_view text) {
        return Bench("example.com TXT v=spf1 -all exp=why.example.com\nwhy.example.com TXT " +
                     std::string(text))
            .outcome()
            .explanation;
    };
    CHECK(with("%{i} may not send for %{o}.") == "192.0.2.1 may not send for example.com.");
    CHECK(with("The %{x}-files.") == "SPF fail - not authorized");
    CHECK(with("\xef\xbb\xbf"
               "text") == "SPF fail - not authorized");
    CHECK(with("two\nwhy.example.com TXT records") == "SPF fail - not authorized");
    CHECK(Bench("example.com TXT v=spf1 -all exp=why.example.com").outcome().explanation ==
          "SPF fail - not authorized");
    CHECK(Bench("example.com TXT v=spf1 exp=a.example.com redirect=b.example\nb.example TXT v=spf1 -all "
                "exp=c.example\n"
                "a.example.com TXT wrong\nc.example TXT right")
              .outcome()
              .explanation == "right");
    CHECK(Bench("example.com TXT v=spf1 include:b.example -all exp=a.example\nb.example TXT v=spf1 -all "
                "exp=c.example\n"
                "a.example TXT right\nc.example TXT wrong")
              .outcome()
              .explanation == "right");
}

TEST_CASE("an explanation is bounded and one line whatever the domain says") {
    Bench bench("example.com TXT v=spf1 -all exp=why.example.com");
    bench.resolver.zone.txt("why.example.com", std::string(5000, 'x'));
    CHECK(bench.outcome().explanation.size() <= Outcome::max_explanation + 3);
    Bench lines("example.com TXT v=spf1 -all exp=why.example.com");
    lines.resolver.zone.txt("why.example.com", "one\r\nX-Evil: two");
    CHECK(lines.outcome().explanation == "SPF fail - not authorized");
    Bench sender("example.com TXT v=spf1 -all exp=why.example.com");
    sender.resolver.zone.txt("why.example.com", "you are %{l}");
    CHECK(sender.outcome("192.0.2.1", "a\r\nb@example.com").explanation == "you are a\\x0d\\x0ab");
}

TEST_CASE("127 macros in exp= and 8000 octets in exists do no harm") {
    std::string exp;
    for (int i = 0; i < 127; ++i) exp += "%{l}";
    Bench bench("");
    bench.resolver.zone.txt("example.com", "v=spf1 -all exp=" + exp + "x.example");
    CHECK(bench.verdict() == "fail");
    // CVE-2023-42118: an explanation that breaks libspf2's stack.
    Bench text("example.com TXT v=spf1 -all exp=x.example");
    text.resolver.zone.txt("x.example", exp + "y");
    std::string users;
    for (int i = 0; i < 100; ++i) users += "user";
    CHECK(text.outcome().explanation == users.substr(0, Outcome::max_explanation) + "...");
    Bench exists("");
    exists.resolver.zone.txt("example.com",
                             "v=spf1 exists:" + exp + std::string(8000, 'y') + ".example -all");
    CHECK(exists.verdict() == "fail");
}

TEST_CASE("exp= is looked up once, after the result, and counts for no limit") {
    Bench bench("example.com TXT v=spf1 a:x.example a:y.example exp=no.example -all");
    CHECK(bench.verdict() == "fail");
    CHECK(bench.resolver.questions() ==
          std::vector<std::string>{"example.com TXT", "x.example A", "y.example A", "no.example TXT"});
    Bench passing("example.com TXT v=spf1 +all exp=no.example");
    CHECK(passing.verdict() == "pass");
    CHECK(passing.resolver.questions() == std::vector<std::string>{"example.com TXT"});
}

TEST_CASE("the time of a check is bounded: what comes too late is temperror") {
    Bench bench("example.com TXT v=spf1 a -all");
    bench.limits.time = 0ms;
    CHECK(bench.verdict() == "temperror");
}

TEST_CASE("the trace names the term that decides") {
    auto const last = [](std::string_view record, std::string_view client) {
        Bench bench("example.com TXT " + std::string(record));
        std::string told;
        Checker(bench.resolver, *bench.engine)
            .check({*IpAddress::parse(client), "user@example.com", "h.example"}, {},
                   [&](unsigned, std::string const& line) { told = line; });
        return told;
    };
    CHECK(last("v=spf1 ip4:192.0.2.0/24 ip4:192.0.2.1 -all", "192.0.2.1") ==
          "ip4:192.0.2.0/24 decides: pass");
    CHECK(last("v=spf1 ip4:192.0.2.0/24 a -all", "203.0.113.1") == "-all decides: fail");
    CHECK(last("v=spf1 ~ip6:2001:db8::/32 -all", "2001:db8::1") == "~ip6:2001:db8::/32 decides: softfail");
    CHECK(last("v=spf1 ip4:192.0.2.0/24", "203.0.113.1") == "no term matches: neutral");
}

TEST_CASE("the trace tells every term and lookup, and where a check ends early") {
    auto const told = [](std::string_view records) {
        Bench bench(records);
        bench.resolver.zone.fail("down.example");
        std::string out;
        Checker(bench.resolver, *bench.engine)
            .check({*IpAddress::parse("192.0.2.1"), "user@example.com", "h.example"}, {},
                   [&](unsigned level, std::string const& line) {
                       out += std::string(std::size_t{2} * level, ' ') + line + "\n";
                   });
        return out;
    };
    CHECK(
        told("example.com TXT v=spf1 ip4:10.0.0.0/8 ip6:2001:db8::/32 include:inc.example ip4:10.1.1.1 -all\n"
             "inc.example TXT v=spf1 mx ~all\ninc.example MX 5 m.example\nm.example A 192.0.2.1") ==
        R"(example.com: "v=spf1 ip4:10.0.0.0/8 ip6:2001:db8::/32 include:inc.example ip4:10.1.1.1 -all" (77 octets)
  ip4:10.0.0.0/8: does not match
  ip6:2001:db8::/32: does not match
  include:inc.example (1 of 10 lookups)
    inc.example: "v=spf1 mx ~all" (14 octets)
      mx (2 of 10 lookups)
        lookup inc.example MX: 5 m.example
        lookup m.example A: 192.0.2.1
      mx: matches
      mx decides: pass
  include:inc.example: matches
  include:inc.example decides: pass
)");
    CHECK(
        told("example.com TXT v=spf1 ip4:10.0.0.1 ip4:10.0.0.2 ip4:10.0.0.3 ip4:10.0.0.4 a:x.example "
             "redirect=b.example\nb.example TXT v=spf1 include:c.example -all\n"
             "c.example TXT v=spf1 a:down.example -all") ==
        R"(example.com: "v=spf1 ip4:10.0.0.1 ip4:10.0.0.2 ip4:10.0.0.3 ip4:10.0.0.4 a:x.example redirect=b.example" (89 octets)
  ip4:10.0.0.1 ... ip4:10.0.0.4: 4 networks, none holds the client
  a:x.example (1 of 10 lookups)
    lookup x.example A: none (1 of 2 void lookups)
  a:x.example: does not match
  redirect=b.example (2 of 10 lookups)
b.example: "v=spf1 include:c.example -all" (29 octets)
  include:c.example (3 of 10 lookups)
    c.example: "v=spf1 a:down.example -all" (26 octets)
      a:down.example (4 of 10 lookups)
        lookup down.example A: SERVFAIL
      a:down.example: SERVFAIL; this ends the check
)");
    CHECK(told("example.com TXT v=spf1 moo") ==
          "example.com: \"v=spf1 moo\" (10 octets)\nexample.com: Unknown mechanism found: moo; this ends the "
          "check\n");
}

TEST_CASE("modifiers have their meaning in any case") {
    CHECK(Bench("example.com TXT v=spf1 REDIRECT=b.example\nb.example TXT v=spf1 -all").verdict() == "fail");
    CHECK(Bench("example.com TXT v=spf1 EXP=why.example -all\nwhy.example TXT words").outcome().explanation ==
          "words");
    CHECK(Bench("example.com TXT v=spf1 exp=a.example EXP=b.example -all").verdict() == "permerror");
}

TEST_CASE("terms behind the one that decides are read and not evaluated") {
    CHECK(Bench("example.com TXT v=spf1 ip4:192.0.2.1 include:example.com -all").verdict() == "pass");
    CHECK(Bench("example.com TXT v=spf1 ip4:192.0.2.1 include: -all").verdict() == "permerror");
}

TEST_CASE("names of a ptr without an address are no void lookups") {
    std::string records = "example.com TXT v=spf1 ptr ~all\n";
    for (int i = 0; i < 5; ++i) records += fmt::format("1.2.0.192.in-addr.arpa PTR gone{}.example\n", i);
    auto const outcome = Bench(records).outcome();
    CHECK(outcome.verdict == Verdict::softfail);
    CHECK(outcome.void_names.empty());
}

TEST_CASE("names without an answer are dead only where no macro made them") {
    Bench bench("example.com TXT v=spf1 a:gone.example exists:%{i}.list.example ?all");
    auto const outcome = bench.outcome();
    CHECK(outcome.void_names.size() == 2);
    CHECK(outcome.dead_names == std::vector<std::string>{"gone.example"});
    CHECK(outcome.longest_record == 51);
}
