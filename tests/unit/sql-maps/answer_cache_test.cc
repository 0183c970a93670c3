// The memory of answers: ages, bounds, and a database that goes away.
#include "sql-maps/answer_cache.h"

#include "tests/unit/support/catch.h"

using namespace postern::sql_maps;
using namespace std::chrono_literals;

namespace {

auto const start = AnswerCache::Clock::time_point{} + 1h;

// The value, "-" for not found, "?" for unknown.
std::string shown(std::optional<AnswerCache::Known> const& known) {
    return known ? known->answer.value_or("-") : "?";
}

} // namespace

TEST_CASE("Values and not-found have their own times to live, and stale answers a longer one") {
    AnswerCache cache({.positive = 10s, .negative = 2s, .stale = 60s});
    cache.remember("a", "1", start, 0);
    cache.remember("b", std::nullopt, start, 0);
    CHECK(shown(cache.fresh("a", start + 9999ms)) == "1");
    CHECK(shown(cache.fresh("a", start + 10s)) == "?");
    CHECK(shown(cache.fresh("b", start + 1999ms)) == "-");
    CHECK(shown(cache.fresh("b", start + 2s)) == "?");
    CHECK(shown(cache.stale("a", start + 59s)) == "1");
    CHECK(shown(cache.stale("b", start + 59s)) == "-");
    CHECK(shown(cache.stale("a", start + 60s)) == "?");
    CHECK(shown(cache.stale("c", start)) == "?");
    CHECK(cache.stale("a", start + 42s)->age == 42s);
}

TEST_CASE("A newer answer replaces the old one") {
    AnswerCache cache({.positive = 10s});
    cache.remember("a", "1", start, 0);
    cache.remember("a", "2", start + 5s, 0);
    CHECK(shown(cache.fresh("a", start + 14s)) == "2");
    CHECK(cache.size() == 1);
}

TEST_CASE("The key used longest ago goes first, at the size and not before") {
    AnswerCache cache({.positive = 10s, .size = 2});
    cache.remember("a", "1", start, 0);
    cache.remember("b", "2", start, 0);
    CHECK(shown(cache.fresh("a", start)) == "1");
    cache.remember("c", "3", start, 0);
    CHECK(shown(cache.fresh("a", start)) == "1");
    CHECK(shown(cache.fresh("b", start)) == "?");
    CHECK(shown(cache.fresh("c", start)) == "3");
    CHECK(cache.size() == 2);
}

TEST_CASE("An answer at the limit is kept, one octet more is not, and the old one goes") {
    AnswerCache cache({.positive = 10s});
    cache.remember("k", std::string(AnswerCache::max_octets - 1, 'x'), start, 0);
    CHECK(cache.size() == 1);
    cache.remember("k", std::string(AnswerCache::max_octets, 'x'), start, 0);
    CHECK(cache.size() == 0);
}

TEST_CASE("A flush forgets everything, also what was asked before and answered after it") {
    AnswerCache cache({.positive = 10s, .stale = 10s});
    cache.remember("a", "1", start, cache.epoch());
    auto const before = cache.epoch();
    cache.flush();
    cache.remember("b", "old", start, before);
    CHECK(shown(cache.fresh("a", start)) == "?");
    CHECK(shown(cache.stale("a", start)) == "?");
    CHECK(shown(cache.fresh("b", start)) == "?");
    cache.remember("b", "new", start, cache.epoch());
    CHECK(shown(cache.fresh("b", start)) == "new");
}
