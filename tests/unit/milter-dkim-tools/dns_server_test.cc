// Questions to a server on a loopback port: datagrams, streams, silence and garbage.
#include "milter-dkim/tools/rotate/dns_server.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/dns_server.h"

using namespace postern;
using namespace postern::milter_dkim::tools;
using Manner = test::DnsServer::Manner;

namespace {

struct Fixture {
    Fixture() { server.serve(test::Zone().txt("a.example", std::string(600, 'x'))); }
    Result<DnsMessage> ask(std::chrono::milliseconds time = std::chrono::seconds(10)) {
        return servers.ask(parse_dns_server(server.nameserver(), 53).value(), "a.example", DnsType::txt,
                           Deadline::after(time));
    }
    test::DnsServer server;
    NetworkDnsServers servers;
};

} // namespace

TEST_CASE("a question is asked over UDP and answered") {
    Fixture fixture;
    auto const answer = fixture.ask();
    REQUIRE(answer);
    REQUIRE(answer->answers.size() == 1);
    CHECK(txt_text(answer->answers[0]).value() == std::string(600, 'x'));
    CHECK(fixture.server.questions() == std::vector<std::string>{"udp a.example TXT"});
}

TEST_CASE("an answer that does not fit is fetched over TCP") {
    Fixture fixture;
    fixture.server.set_manner("a.example", Manner::truncated);
    auto const answer = fixture.ask();
    REQUIRE(answer);
    CHECK_FALSE(answer->truncated);
    CHECK(answer->answers.size() == 1);
    CHECK(fixture.server.questions().back() == "tcp a.example TXT");
}

TEST_CASE("silence and garbage end with the deadline, temporarily") {
    for (auto const manner : {Manner::silent, Manner::garbage}) {
        Fixture fixture;
        fixture.server.set_manner("a.example", manner);
        auto const answer = fixture.ask(std::chrono::milliseconds(200));
        REQUIRE_FALSE(answer);
        CHECK(answer.error().kind == ErrorKind::temporary);
        CHECK(answer.error().text == fixture.server.nameserver() + ": no answer");
    }
}

TEST_CASE("a port where nobody listens is temporary, for questions and updates") {
    auto const nobody = [] {
        test::DnsServer const gone;
        return parse_dns_server(gone.nameserver(), 53).value();
    }();
    NetworkDnsServers servers;
    auto const deadline = Deadline::after(std::chrono::seconds(10));
    CHECK(servers.ask(nobody, "a.example", DnsType::txt, deadline).error().kind == ErrorKind::temporary);
    CHECK(servers.update(nobody, {"a.example", "b.a.example", "x", 60}, {}, deadline).error().kind ==
          ErrorKind::temporary);
}

TEST_CASE("servers are written as addresses with or without a port") {
    CHECK(to_text(parse_dns_server("192.0.2.1", 53).value()) == "192.0.2.1@53");
    CHECK(to_text(parse_dns_server("2001:db8::1@5353", 53).value()) == "2001:db8::1@5353");
    for (auto const* bad : {"", "ns.example", "192.0.2.1@", "192.0.2.1@0", "192.0.2.1@65536", "@53"})
        CHECK_FALSE(parse_dns_server(bad, 53));
}
