// A connection: order, pieces, broken requests, failures of our own.
#include "tests/unit/support/catch.h"

#include "policyd-spf/explain.h"
#include "tests/unit/policyd-spf/bench.h"

using namespace postern;
using test::PolicyBench;

namespace {

constexpr std::string_view zone =
    "pass.example TXT v=spf1 ip4:192.0.2.1 -all\nfail.example TXT v=spf1 -all\n";

} // namespace

TEST_CASE("pipelined requests are answered in order, whatever the pieces they come in") {
    PolicyBench at(zone);
    auto const input = PolicyBench::request("192.0.2.1", "h.example", "u@pass.example", "a@b", "1") + "\n" +
                       PolicyBench::request("192.0.2.1", "h.example", "u@fail.example", "a@b", "2");
    auto const reply = test::replay_in_all_pieces([&] { return at.session(); }, input);
    CHECK(reply.find("prepend Received-SPF: Pass") < reply.find("action=dunno"));
    CHECK(reply.find("action=dunno") < reply.find("action=550 5.7.23"));
}

TEST_CASE("a line that never ends closes the connection after the answers before it") {
    PolicyBench at(zone);
    auto const input = "\n" + std::string(20000, 'x');
    CHECK(test::replay_in_all_pieces([&] { return at.session(); }, input) == "action=dunno\n\n<closed>");
}

TEST_CASE("a peer that vanishes anywhere does no harm") {
    PolicyBench at(zone);
    test::replay_cut_off([&] { return at.session(); },
                         PolicyBench::request("192.0.2.1", "h.example", "u@pass.example") + "garbage\n");
    CHECK(at.all("\n") == "action=dunno\n\n");
}

TEST_CASE("a failure of our own is answered with dunno and logged") {
    class Broken final : public dns::Resolver {
      public:
        Result<dns::DnsAnswer> lookup(std::string_view, dns::RecordType, Deadline) override {
            throw std::runtime_error("broken invariant");
        }
    } broken;
    PolicyBench at(zone);
    spf::Checker const checker(broken, *at.engine);
    policyd_spf::Session session(at.settings, {broken, checker, at.log, at.metrics});
    CHECK(test::replay(session, PolicyBench::request("192.0.2.1", "h.example", "u@pass.example")) ==
          "action=dunno\n\n");
    CHECK(at.log.expect("not checked because of a failure of our own: broken invariant"));
}

TEST_CASE("explain shows both identities, every lookup and the counts") {
    PolicyBench at(
        "h.example TXT v=spf1 a -all\nh.example A 192.0.2.1\np.example TXT v=spf1 include:i.example -all\n"
        "i.example TXT v=spf1 mx ?all\n");
    auto const report =
        policyd_spf::explain(at.checker, *at.settings, "192.0.2.1", "h.example", "u@p.example");
    CHECK(report.good);
    CHECK(report.text == R"(HELO h.example from 192.0.2.1
    lookup h.example TXT: 1 records
  h.example: "v=spf1 a -all" (13 octets)
  a (1 of 10 lookups)
    lookup h.example A: 1 records
  a: matches
  a decides: pass
  lookups: 1 of 10, void lookups: 0 of 2
  result: pass (sender SPF authorized)

MAIL FROM u@p.example from 192.0.2.1
    lookup p.example TXT: 1 records
  p.example: "v=spf1 include:i.example -all" (29 octets)
  include:i.example (1 of 10 lookups)
      lookup i.example TXT: 1 records
    i.example: "v=spf1 mx ?all" (14 octets)
    mx (2 of 10 lookups)
      lookup i.example MX: 0 records
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

TEST_CASE("check-record tells a good record from one that is not") {
    PolicyBench at("good.example TXT v=spf1 a -all\ngood.example A 192.0.2.1\nopen.example TXT v=spf1 +all\n"
                   "void.example TXT v=spf1 a:gone.example -all\nbroken.example TXT v=spf1 moo\n");
    auto const check = [&](std::string_view domain) {
        return policyd_spf::check_record(at.checker, *at.settings, domain);
    };
    CHECK(check("good.example").good);
    CHECK(check("good.example").text.contains("lookups: 1 of 10, void lookups: 0 of 2"));
    CHECK_FALSE(check("void.example").good);
    CHECK(check("void.example").text.contains("no answer: gone.example A"));
    CHECK_FALSE(check("broken.example").good);
    CHECK_FALSE(check("none.example").good);
    CHECK(check("open.example").text.contains("lets everybody send"));
}
