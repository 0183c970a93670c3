// The engine on libspf2: order, networks, long records, errors, nesting.
#include "tests/unit/support/catch.h"

#include "common/spf/engine.h"
#include "tests/unit/spf/plain_engine.h"

#include <thread>

using namespace postern;
using namespace postern::spf;

namespace {

std::string walked(
    Engine const& engine, std::string_view record, std::string_view client,
    TermMatcher const& matcher = [](Term const&) { return Result<bool>(false); }) {
    auto const parsed = parse_record(record);
    REQUIRE(parsed.has_value());
    auto const decided = engine.walk(parsed->terms, *IpAddress::parse(client), matcher);
    if (!decided) return "error: " + decided.error().text;
    return *decided ? std::string(1, qualifier_sign(**decided)) : "none";
}

// Both engines, which must agree.
std::string walked(
    std::string_view record, std::string_view client,
    TermMatcher const& matcher = [](Term const&) { return Result<bool>(false); }) {
    auto const plain = walked(test::PlainEngine(), record, client, matcher);
    CHECK(walked(*make_libspf2_engine(), record, client, matcher) == plain);
    return plain;
}

} // namespace

TEST_CASE("the first term that matches decides") {
    CHECK(walked("v=spf1 -ip4:192.0.2.1 +all", "192.0.2.1") == "-");
    CHECK(walked("v=spf1 -ip4:192.0.2.1 ~all", "192.0.2.2") == "~");
    CHECK(walked("v=spf1 ?ip4:192.0.2.1 -all", "192.0.2.1") == "?");
    CHECK(walked("v=spf1 ?all", "192.0.2.1") == "?");
    CHECK(walked("v=spf1 ip4:192.0.2.1", "192.0.2.9") == "none");
    CHECK(walked("v=spf1", "192.0.2.9") == "none");
    CHECK(walked("v=spf1 all -all", "192.0.2.9") == "+");
}

TEST_CASE("networks of both families, prefix 0 and host bits too") {
    CHECK(walked("v=spf1 ip4:192.0.2.99/24 -all", "192.0.2.1") == "+");
    CHECK(walked("v=spf1 ip4:192.0.2.128/25 -all", "192.0.2.1") == "-");
    CHECK(walked("v=spf1 ip4:1.2.3.4/0 -all", "203.0.113.1") == "+");
    CHECK(walked("v=spf1 ip4:1.2.3.4/0 -all", "3.0.113.1") == "+");
    CHECK(walked("v=spf1 ip4:1.2.3.4/1 -all", "203.0.113.1") == "-");
    CHECK(walked("v=spf1 ip4:1.2.3.4/0 -all", "2001:db8::1") == "-");
    CHECK(walked("v=spf1 ip6:2001:db8::/32 -all", "2001:db8:ffff::1") == "+");
    CHECK(walked("v=spf1 ip6:2001:db8::/33 -all", "2001:db8:ffff::1") == "-");
    CHECK(walked("v=spf1 ip6:::1/0 -all", "fe80::1") == "+");
    CHECK(walked("v=spf1 ip6:::1/0 -all", "::2") == "+");
    CHECK(walked("v=spf1 ip6:::/0 -all", "192.0.2.1") == "-");
    CHECK(walked("v=spf1 ip6:::ffff:1.2.3.0/120 ip6:::1.2.3.4 -all", "::1.2.3.4") == "+");
}

TEST_CASE("terms that ask the DNS are the matcher's, each once and in order") {
    std::vector<std::string> asked;
    auto const matcher = [&](Term const& term) -> Result<bool> {
        asked.push_back(term.text);
        return term.text == "?mx:x.example";
    };
    CHECK(walked(*make_libspf2_engine(),
                 "v=spf1 a include:a.example exists:b.example ptr ?mx:x.example a:z.example -all",
                 "192.0.2.1", matcher) == "?");
    CHECK(asked ==
          std::vector<std::string>{"a", "include:a.example", "exists:b.example", "ptr", "?mx:x.example"});
}

TEST_CASE("an error of the matcher ends the walk and comes back as it was") {
    auto const matcher = [](Term const&) -> Result<bool> { return permanent("Too many DNS lookups"); };
    CHECK(walked("v=spf1 a mx +all", "192.0.2.1", matcher) == "error: Too many DNS lookups");
    auto const throwing = [](Term const&) -> Result<bool> { throw std::runtime_error("broken invariant"); };
    CHECK_THROWS_WITH(walked(*make_libspf2_engine(), "v=spf1 a +all", "192.0.2.1", throwing),
                      "broken invariant");
}

TEST_CASE("a matcher may walk another record") {
    auto const engine = make_libspf2_engine();
    auto const inner = [&](Term const&) -> Result<bool> {
        return walked(*engine, "v=spf1 ip4:192.0.2.1 -all", "192.0.2.1") == "+";
    };
    CHECK(walked(*engine, "v=spf1 -include:a.example +all", "192.0.2.1", inner) == "-");
}

TEST_CASE("450 ip4 terms keep their -all, and so do 5000 mixed ones") {
    std::string record = "v=spf1";
    for (int i = 0; i < 450; ++i) record += fmt::format(" ip4:10.0.{}.{}", i / 250, i % 250);
    record += " -all";
    CHECK(walked(record, "10.0.1.199") == "+");
    CHECK(walked(record, "10.0.1.200") == "-");
    record = "v=spf1";
    for (int i = 0; i < 5000; ++i)
        record += i % 3 == 0 ? fmt::format(" ip6:2001:db8::{:x}", i)
                             : fmt::format(" ?ip4:10.1.{}.{}", i / 250, i % 250);
    CHECK(walked(record + " -all", "2001:db8::1386") == "+");
    CHECK(walked(record + " ~all", "192.0.2.1") == "~");
    CHECK(walked(record, "10.1.19.249") == "?");
    CHECK(walked(record, "192.0.2.1") == "none");
}

TEST_CASE("one engine serves many threads") {
    auto const engine = make_libspf2_engine();
    auto const record = parse_record("v=spf1 ip4:192.0.2.1 a -all");
    std::atomic<int> wrong{0};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < 4; ++i)
            threads.emplace_back([&, i] {
                auto const client = *IpAddress::parse(i % 2 == 0 ? "192.0.2.1" : "192.0.2.2");
                auto const expected = i % 2 == 0 ? Qualifier::pass : Qualifier::fail;
                for (int n = 0; n < 500; ++n)
                    if (auto const got = engine->walk(record->terms, client,
                                                      [](Term const&) { return Result<bool>(false); });
                        !got || *got != expected)
                        ++wrong;
            });
    }
    CHECK(wrong == 0);
}
