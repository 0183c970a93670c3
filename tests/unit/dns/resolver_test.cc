// Names that can be asked for, and reverse names.
#include "tests/unit/support/catch.h"

#include "common/dns/resolver.h"

#include <fmt/format.h>

using namespace postern::dns;
using namespace std::string_view_literals;

TEST_CASE("a name of 253 octets can be asked for, one of 254 cannot") {
    std::string longest(253, 'a');
    for (std::size_t const dot : {63, 127, 191}) longest[dot] = '.';
    CHECK(is_askable(longest));
    CHECK_FALSE(is_askable(longest + "a"));
}

TEST_CASE("labels have 1 to 63 octets") {
    CHECK(is_askable(fmt::format("{:a>63}.example", "")));
    CHECK_FALSE(is_askable(fmt::format("{:a>64}.example", "")));
    CHECK_FALSE(is_askable(""));
    CHECK_FALSE(is_askable("a..example"));
    CHECK_FALSE(is_askable(".example"));
    CHECK_FALSE(is_askable("example."));
}

TEST_CASE("underscores and 8-bit octets may stand in a name, NUL may not") {
    CHECK(is_askable("_dmarc.example"));
    CHECK(is_askable("\xc3\xbc.example"));
    CHECK_FALSE(is_askable(std::string_view("a\0b.example", 11)));
}

TEST_CASE("reverse names of both address families") {
    CHECK(reverse_name("\xc0\x00\x02\x01"sv) == "1.2.0.192.in-addr.arpa");
    CHECK(reverse_name("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x1f"sv) ==
          "f.1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
}
