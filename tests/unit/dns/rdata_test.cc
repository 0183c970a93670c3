// Record data from the wire, whole and garbled.
#include "tests/unit/support/catch.h"

#include "common/dns/rdata.h"

using namespace postern;
using namespace postern::dns;
using namespace std::string_view_literals;

TEST_CASE("the strings of one TXT record are joined with nothing between") {
    CHECK(decode_rdata(RecordType::txt, "\x03"
                                        "abc"
                                        "\x00"
                                        "\x02"
                                        "de"sv)
              ->data == "abcde");
    CHECK(decode_rdata(RecordType::txt, "\x03"
                                        "a\0c"sv)
              ->data == "a\0c"sv);
    CHECK(decode_rdata(RecordType::txt, "")->data.empty());
}

TEST_CASE("a TXT string longer than its record is garbled") {
    auto const garbled = decode_rdata(RecordType::txt, "\x04"
                                                       "abc"sv);
    REQUIRE_FALSE(garbled.has_value());
    CHECK(garbled.error().kind == ErrorKind::temporary);
    CHECK(garbled.error().text == "garbled TXT record");
}

TEST_CASE("addresses have their size and no other") {
    CHECK(decode_rdata(RecordType::a, "\x7f\0\0\1"sv)->data == "\x7f\0\0\1"sv);
    CHECK_FALSE(decode_rdata(RecordType::a, "\x7f\0\0\1\0"sv).has_value());
    CHECK_FALSE(decode_rdata(RecordType::aaaa, "\x7f\0\0\1"sv).has_value());
    CHECK(decode_rdata(RecordType::aaaa, std::string(16, '\1')).has_value());
}

TEST_CASE("an MX gives its preference and its host") {
    auto const record = decode_rdata(RecordType::mx, "\x01\x02"
                                                     "\x04"
                                                     "mail"
                                                     "\x07"
                                                     "example"
                                                     "\0"sv);
    CHECK(*record == DnsRecord{"mail.example", 258});
    CHECK(*decode_rdata(RecordType::mx, "\0\0\0"sv) == DnsRecord{"", 0});
}

TEST_CASE("a name without its end, with rest or with a compression pointer is garbled") {
    CHECK_FALSE(decode_rdata(RecordType::ptr, "\x04"
                                              "mail"sv));
    CHECK_FALSE(decode_rdata(RecordType::ptr, "\x04"
                                              "mail"
                                              "\0"
                                              "x"sv));
    CHECK_FALSE(decode_rdata(RecordType::ptr, "\xc0\x0c"sv).has_value());
    CHECK_FALSE(decode_rdata(RecordType::ptr, "").has_value());
    CHECK_FALSE(decode_rdata(RecordType::mx, "\0\0"sv).has_value());
}
