// The fake resolver behaves as the real one promises.
#include "tests/unit/support/catch.h"

#include "tests/unit/support/fake_resolver.h"

using namespace postern;
using namespace postern::dns;

TEST_CASE("the fake resolver tells an absent type from an absent name") {
    test::FakeResolver resolver;
    resolver.zone.lines("a.b.example TXT hello world");
    auto const kind = [&](std::string_view name, RecordType type) {
        return resolver.lookup(name, type, Deadline::never())->kind;
    };
    CHECK(kind("A.B.example", RecordType::txt) == DnsAnswer::Kind::found);
    CHECK(kind("a.b.example", RecordType::mx) == DnsAnswer::Kind::no_records);
    CHECK(kind("b.example", RecordType::txt) == DnsAnswer::Kind::no_records);
    CHECK(kind("c.example", RecordType::txt) == DnsAnswer::Kind::no_such_name);
    CHECK(resolver.questions().front() == "A.B.example TXT");
}

TEST_CASE("the fake resolver follows CNAMEs and fails on a loop of them") {
    test::FakeResolver resolver;
    resolver.zone.lines("one.example CNAME two.example\ntwo.example A 192.0.2.1\nx.example CNAME x.example");
    CHECK(resolver.lookup("one.example", RecordType::a, Deadline::never())->found());
    CHECK(resolver.lookup("x.example", RecordType::a, Deadline::never()).error().kind ==
          ErrorKind::temporary);
}

TEST_CASE("the fake resolver fails when told so, and when the deadline has passed") {
    test::FakeResolver resolver;
    resolver.zone.a("a.example", "192.0.2.1").fail("a.example", RecordType::txt);
    CHECK(resolver.lookup("a.example", RecordType::a, Deadline::never()).has_value());
    CHECK(resolver.lookup("a.example", RecordType::txt, Deadline::never()).error().kind ==
          ErrorKind::temporary);
    auto const past = Deadline::after(std::chrono::milliseconds(0));
    CHECK(resolver.lookup("a.example", RecordType::a, past).error().kind == ErrorKind::temporary);
}
