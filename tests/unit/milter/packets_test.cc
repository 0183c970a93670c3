// Packets whole, in pieces, and at their limits.
#include "common/milter/packets.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/milter_client.h"

using namespace postern;
using namespace postern::milter;
using namespace std::string_view_literals;

TEST_CASE("packets come out as they went in, fed whole or octet by octet") {
    std::string octets;
    append_packet(octets, 'L', {"Subject", "\0"sv, "x", "\0"sv});
    append_packet(octets, 'N');
    CHECK(octets == "\0\0\0\x0bLSubject\0x\0\0\0\0\x01N"sv);
    for (std::size_t const piece : {octets.size(), std::size_t{1}}) {
        Decoder decoder;
        std::string seen;
        for (std::size_t at = 0; at < octets.size(); at += piece) {
            decoder.feed(std::string_view(octets).substr(at, piece));
            for (auto packet = decoder.next(); packet && *packet; packet = decoder.next())
                seen += (*packet)->letter + std::string((*packet)->data) + ";";
        }
        CHECK(seen == "LSubject\0x\0;N;"sv);
    }
}

TEST_CASE("a packet may have as many octets as the limit and not one more") {
    Decoder good;
    good.feed(number_octets(max_packet) + std::string(max_packet, 'B'));
    auto const packet = good.next();
    REQUIRE(packet);
    REQUIRE(*packet);
    CHECK((*packet)->data.size() == max_packet - 1);
    Decoder bad;
    bad.feed(number_octets(max_packet + 1));
    REQUIRE_FALSE(bad.next());
    CHECK(bad.next().error().text == "a milter packet of 1048577 octets");
    CHECK(bad.next().error().kind == ErrorKind::malformed);
}

TEST_CASE("strings end with a NUL, and what follows the last one is malformed") {
    CHECK(nul_terminated("a\0\0bc\0"sv) == std::vector{"a"sv, ""sv, "bc"sv});
    CHECK(nul_terminated("")->empty());
    CHECK_FALSE(nul_terminated("a\0b"sv));
    CHECK(up_to_nul("a\0b"sv) == "a");
    CHECK(up_to_nul("ab") == "ab");
}
