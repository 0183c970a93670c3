// A connection: order, pieces, broken requests, failures of our own.
#include "tests/unit/support/catch.h"

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
