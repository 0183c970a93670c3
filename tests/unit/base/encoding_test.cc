// Base64 and hexadecimal: RFC 4648's vectors, and what must be refused.
#include "common/base/encoding.h"

#include "common/base/secret.h"
#include "tests/unit/support/catch.h"

using namespace postern;

TEST_CASE("base64 encodes RFC 4648's vectors and decodes them back") {
    for (auto const& [plain, coded] : {std::pair{"", ""},
                                       {"f", "Zg=="},
                                       {"fo", "Zm8="},
                                       {"foo", "Zm9v"},
                                       {"foob", "Zm9vYg=="},
                                       {"fooba", "Zm9vYmE="},
                                       {"foobar", "Zm9vYmFy"}}) {
        CHECK(base64_encode(plain) == coded);
        CHECK(base64_decode(coded) == plain);
    }
}

TEST_CASE("base64 refuses wrong length, foreign characters, padding inside and unused bits") {
    for (auto const* bad : {"Zg", "Zg=", "Zm9v\n", "Zg==Zg==", "=Zg=", "Zh==", "Zm9!", "===="}) {
        INFO(bad);
        CHECK_FALSE(base64_decode(bad));
    }
}

TEST_CASE("decoding what was encoded gives the same octets for every length") {
    for (std::size_t length = 0; length < 100; ++length) {
        auto const octets = random_octets(length);
        CHECK(base64_decode(base64_encode(octets)) == octets);
        CHECK(hex_decode(hex_encode(octets)) == octets);
    }
}

TEST_CASE("hexadecimal takes either case and refuses odd length and other characters") {
    CHECK(hex_encode(std::string("\x00\xff", 2)) == "00ff");
    CHECK(hex_decode("00FF") == std::string("\x00\xff", 2));
    CHECK_FALSE(hex_decode("0"));
    CHECK_FALSE(hex_decode("0g"));
}

TEST_CASE("base64url has its own alphabet and no padding") {
    CHECK(base64url_encode("\xfb\xff\xfe?") == "-__-Pw");
    CHECK(base64url_decode("-__-Pw") == "\xfb\xff\xfe?");
    CHECK(base64url_decode("") == "");
    for (auto const* text : {"-__-Pw==", "+__-Pw", "A", "Px", "a b"}) CHECK(!base64url_decode(text));
}
