// Messages in memory and in a nameless file.
#include "lmtp-deliver/spool.h"

#include "tests/unit/support/catch.h"

#include <unistd.h>

using namespace postern;
using lmtp_deliver::MessageSize;
using lmtp_deliver::Spool;

namespace {

std::string contents(Spool const& spool) {
    std::string text;
    REQUIRE(spool.read([&](std::string_view octets) {
        text += octets;
        return Result<>();
    }));
    return text;
}

} // namespace

TEST_CASE("a spool stays in memory up to its limit and goes to a file beyond it") {
    Spool spool({10, "/tmp"});
    REQUIRE(spool.append("1234567890"));
    CHECK(spool.in_memory());
    REQUIRE(spool.append("x"));
    CHECK_FALSE(spool.in_memory());
    REQUIRE(spool.append("y"));
    CHECK(contents(spool) == "1234567890xy");
    CHECK(spool.beginning(4) == "1234");
    CHECK(spool.beginning(100) == "1234567890xy");
}

TEST_CASE("a large message comes back whole from its file") {
    Spool spool({1000, "/tmp"});
    std::string all;
    for (int i = 0; i < 5000; ++i) {
        auto const line = std::to_string(i) + " some text of a line\n";
        all += line;
        REQUIRE(spool.append(line));
    }
    CHECK(contents(spool) == all);
    CHECK(spool.size() == MessageSize{all.size(), all.size() + 5000});
}

TEST_CASE("the virtual size counts a CR for each LF that has none, also across pieces") {
    Spool spool;
    for (auto const* piece : {"a\n", "b\r", "\n", "\r\r\n", "\n\n"}) REQUIRE(spool.append(piece));
    CHECK(spool.size() == MessageSize{10, 13});
}

TEST_CASE("another process can read the spool by its descriptor") {
    for (std::size_t const memory : {4, 1000}) {
        Spool spool({memory, "/tmp"});
        REQUIRE(spool.append("some text"));
        auto const file = spool.as_file();
        REQUIRE(file);
        auto const other = Spool::of_file(net::Descriptor(::dup(*file)), spool.size());
        CHECK(contents(other) == "some text");
        CHECK(contents(spool) == "some text");
    }
}

TEST_CASE("a spool without room stays broken") {
    Spool spool({4, "/nonexistent"});
    REQUIRE(spool.append("1234"));
    CHECK_FALSE(spool.append("5"));
    CHECK_FALSE(spool.append(""));
    CHECK_FALSE(spool.read([](std::string_view) { return Result<>(); }));
    CHECK_FALSE(spool.as_file());
}
