// Deadlines, spans and dates.
#include "common/base/clock.h"

#include "tests/unit/support/catch.h"

using namespace postern;
using namespace std::chrono_literals;

TEST_CASE("a deadline that never comes waits for ever and one that has passed does not wait") {
    CHECK(Deadline::never().poll_timeout() == -1);
    CHECK_FALSE(Deadline::never().expired());
    auto const passed = Deadline::after(-1s);
    CHECK(passed.expired());
    CHECK(passed.poll_timeout() == 0);
    CHECK(Deadline::never().or_after(-1s).expired());
}

TEST_CASE("spans are read with Postfix' letters, Dovecot's words and a default unit") {
    CHECK(parse_duration("15m") == 15min);
    CHECK(parse_duration("2 secs") == 2s);
    CHECK(parse_duration("100ms") == 100ms);
    CHECK(parse_duration("1h") == 1h);
    CHECK(parse_duration("5") == 5s);
    CHECK(parse_duration("5", 1ms) == 5ms);
    CHECK(parse_duration("2 weeks") == 336h);
    CHECK_FALSE(parse_duration("5 parsecs"));
    CHECK_FALSE(parse_duration(""));
    CHECK_FALSE(parse_duration("-5s"));
    CHECK_FALSE(parse_duration("99999999999999999999s"));
}

TEST_CASE("a date is written as RFC 5322 3.3 has it, in UTC") {
    CHECK(rfc5322_date(0) == "Thu, 01 Jan 1970 00:00:00 +0000");
    CHECK(rfc5322_date(1795240279) == "Sat, 21 Nov 2026 05:51:19 +0000");
}
