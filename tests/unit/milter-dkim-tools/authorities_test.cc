// Zones, their servers, and what counts as shown.
#include "milter-dkim/tools/rotate/authorities.h"

#include "tests/unit/milter-dkim-tools/fake_dns.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

constexpr std::string_view name = "s._domainkey.mail.a.example";
constexpr std::string_view record = "v=DKIM1; h=sha256; k=rsa; p=KEY";

struct Fixture {
    test::FakeResolver resolver{test::Zone()
                                    .ns("a.example", "ns1.a.example")
                                    .ns("a.example", "ns2.b.example")
                                    .a("ns1.a.example", "192.0.2.1")
                                    .a("ns2.b.example", "192.0.2.2")
                                    .aaaa("ns2.b.example", "2001:db8::2")};
    test::FakeDns dns;
    Authorities authorities{{}, resolver, dns};
    Deadline deadline = Deadline::never();

    Authorities::Sight look() {
        return authorities.look(authorities.find(name, deadline).value(), name, record, deadline);
    }
    void show(std::string const& host, std::vector<std::string> texts) {
        dns[host].shown[std::string(name)] = std::move(texts);
    }
};

} // namespace

TEST_CASE("the zone is the nearest name with NS records, with every address of its servers") {
    Fixture fixture;
    auto const authority = fixture.authorities.find(name, fixture.deadline);
    REQUIRE(authority);
    CHECK(authority->zone == "a.example");
    REQUIRE(authority->servers.size() == 2);
    CHECK(authority->servers[0].name == "ns1.a.example");
    REQUIRE(authority->servers[1].addresses.size() == 2);
    CHECK(to_text(authority->servers[1].addresses[1]) == "2001:db8::2@53");
    CHECK(authority->primaries.empty()); // the test zone's SOA has no address
}

TEST_CASE("a delegated _domainkey is a zone of its own") {
    Fixture fixture;
    fixture.resolver.zone.ns("_domainkey.mail.a.example", "ns1.a.example");
    CHECK(fixture.authorities.find(name, fixture.deadline)->zone == "_domainkey.mail.a.example");
}

TEST_CASE("top-level servers are never asked for somebody's key") {
    Fixture fixture;
    fixture.resolver.zone = test::Zone().ns("example", "ns.example");
    auto const authority = fixture.authorities.find(name, fixture.deadline);
    REQUIRE_FALSE(authority);
    CHECK(authority.error().kind == ErrorKind::permanent);
}

TEST_CASE("a resolver that fails, or a name server without address, is temporary") {
    Fixture fixture;
    fixture.resolver.zone.remove("ns1.a.example");
    CHECK(fixture.authorities.find(name, fixture.deadline).error().kind == ErrorKind::temporary);
    fixture.resolver.zone.fail("a.example");
    CHECK(fixture.authorities.find(name, fixture.deadline).error().kind == ErrorKind::temporary);
}

TEST_CASE("a record is everywhere when each address of each server shows it and only it") {
    Fixture fixture;
    for (auto const* host : {"192.0.2.1", "192.0.2.2", "2001:db8::2"})
        fixture.show(host, {std::string(record)});
    CHECK(fixture.look().everywhere());
    fixture.show("192.0.2.2", {"v=DKIM1; p=KEY; k=rsa; t=y"}); // the same key in other words
    CHECK(fixture.look().everywhere());

    fixture.dns["192.0.2.2"].shown.clear();
    CHECK(fixture.look().missing == std::vector<std::string>{"ns2.b.example (192.0.2.2@53): has no record"});
    CHECK(fixture.look().conflicts.empty());
    fixture.show("192.0.2.2", {std::string(record), "v=DKIM1; p=OTHER"});
    CHECK(fixture.look().conflicts ==
          std::vector<std::string>{"ns2.b.example (192.0.2.2@53): has 2 records"});
    fixture.show("192.0.2.2", {"v=DKIM1; p=OTHER"});
    CHECK(fixture.look().conflicts.size() == 1);
    fixture.show("192.0.2.2", {"v=DKIM1; p="});
    CHECK(fixture.look().conflicts.empty());
    CHECK_FALSE(fixture.look().everywhere());
}

TEST_CASE("silence, refusal and answers without authority are not seeing") {
    Fixture fixture;
    for (auto const* host : {"192.0.2.1", "192.0.2.2", "2001:db8::2"})
        fixture.show(host, {std::string(record)});
    fixture.dns["192.0.2.1"].silent = true;
    CHECK_FALSE(fixture.look().everywhere());
    fixture.dns["192.0.2.1"].silent = false;
    fixture.dns["192.0.2.1"].lame = true;
    CHECK_FALSE(fixture.look().everywhere());
    fixture.dns["192.0.2.1"].lame = false;
    fixture.dns["192.0.2.1"].rcode = 2;
    CHECK(fixture.look().missing == std::vector<std::string>{"ns1.a.example (192.0.2.1@53): SERVFAIL"});
}

TEST_CASE("a server that is also reachable otherwise may have an address without a way, another may not") {
    Fixture fixture;
    for (auto const* host : {"192.0.2.1", "192.0.2.2"}) fixture.show(host, {std::string(record)});
    fixture.dns["2001:db8::2"].unreachable = true;
    CHECK(fixture.look().everywhere());
    fixture.dns["192.0.2.1"].unreachable = true;
    CHECK_FALSE(fixture.look().everywhere());
}

TEST_CASE("a name without records anywhere is nowhere, and silence is not nowhere") {
    Fixture fixture;
    CHECK(fixture.look().nowhere);
    fixture.dns["192.0.2.1"].silent = true;
    CHECK_FALSE(fixture.look().nowhere);
}

TEST_CASE("records are compared by their keys") {
    CHECK(same_key("v=DKIM1; p=A B", "p=AB"));
    CHECK(same_key("k=ed25519; p=A", "v=DKIM1;k=ed25519;p=A;"));
    CHECK_FALSE(same_key("k=ed25519; p=A", "p=A"));
    CHECK_FALSE(same_key("v=DKIM1", "v=DKIM1"));
    CHECK_FALSE(same_key("p=A", "p=B"));
    CHECK(same_key("p=", "k=rsa; p="));
    CHECK(is_revoked("v=DKIM1; p="));
    CHECK_FALSE(is_revoked("v=DKIM1"));
    CHECK_FALSE(is_revoked("v=DKIM1; p=A"));
}
