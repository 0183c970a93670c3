// The bounded cache.
#include "tests/unit/support/catch.h"

#include "common/dns/cache.h"

using namespace postern;
using namespace postern::dns;
using namespace std::chrono_literals;

namespace {

DnsAnswer answer(std::string data) { return {DnsAnswer::Kind::found, {{std::move(data), 0}}, 60, false}; }
Cache::Clock::time_point const start{};

} // namespace

TEST_CASE("an answer is kept until its ttl has passed and says what is left of it") {
    Cache cache({});
    cache.put("a", answer("x"), 60s, start);
    REQUIRE(cache.find("a", start + 59s).has_value());
    CHECK((*cache.find("a", start + 20s))->ttl == 40);
    CHECK((*cache.find("a", start + 59s))->records.front().data == "x");
    CHECK_FALSE(cache.find("a", start + 60s).has_value());
    CHECK(cache.size() == 0);
}

TEST_CASE("an answer with ttl 0 is not kept") {
    Cache cache({});
    cache.put("a", answer("x"), 0s, start);
    CHECK_FALSE(cache.find("a", start).has_value());
}

TEST_CASE("a failure is kept as the failure it was") {
    Cache cache({});
    cache.put("a", temporary("SERVFAIL"), 5s, start);
    auto const found = cache.find("a", start + 4s);
    REQUIRE(found.has_value());
    CHECK(found->error().text == "SERVFAIL");
}

TEST_CASE("the entry used longest ago goes when there are too many") {
    Cache cache({.entries = 2});
    cache.put("a", answer("x"), 60s, start);
    cache.put("b", answer("x"), 60s, start);
    cache.find("a", start);
    cache.put("c", answer("x"), 60s, start);
    CHECK(cache.size() == 2);
    CHECK(cache.find("a", start).has_value());
    CHECK_FALSE(cache.find("b", start).has_value());
}

TEST_CASE("the octets of all answers together are bounded") {
    Cache cache({.entries = 1000, .octets = 10000});
    for (int i = 0; i < 100; ++i) cache.put(std::to_string(i), answer(std::string(1000, 'x')), 60s, start);
    CHECK(cache.octets() <= 10000);
    CHECK(cache.size() == 8);
    cache.put("huge", answer(std::string(10001, 'x')), 60s, start);
    CHECK_FALSE(cache.find("huge", start).has_value());
    CHECK(cache.size() == 8);
}

TEST_CASE("a second answer for a key takes the place of the first") {
    Cache cache({});
    cache.put("a", answer("x"), 60s, start);
    auto const octets = cache.octets();
    cache.put("a", answer("y"), 60s, start);
    CHECK(cache.size() == 1);
    CHECK(cache.octets() == octets);
    CHECK((*cache.find("a", start))->records.front().data == "y");
}
