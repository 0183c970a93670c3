// ASCII text: pieces, numbers, strangers' octets, mistyped names.
#include "common/base/text.h"

#include "tests/unit/support/catch.h"

using namespace postern;

using Pieces = std::vector<std::string_view>;

TEST_CASE("splitting keeps empty pieces and words drop them") {
    CHECK(split("a,,b", ',') == Pieces{"a", "", "b"});
    CHECK(split("", ',') == Pieces{""});
    CHECK(split_words(" a,  b ", ", ") == Pieces{"a", "b"});
    CHECK(split_words("").empty());
}

TEST_CASE("halving at the last separator keeps earlier ones in the first half") {
    auto const [before, after] = halve_at_last("a@b@c", '@');
    CHECK(before == "a@b");
    CHECK(after == "c");
    CHECK_FALSE(halve("abc", '@').after);
}

TEST_CASE("a number is the whole text or absent") {
    CHECK(parse_number<int>("42") == 42);
    CHECK(parse_number<unsigned>("0660", 8) == 0660U);
    CHECK_FALSE(parse_number<int>("42 "));
    CHECK_FALSE(parse_number<int>(""));
    CHECK_FALSE(parse_number<unsigned>("-1"));
    CHECK_FALSE(parse_number<std::uint8_t>("256"));
}

TEST_CASE("case folding touches ASCII letters only") {
    CHECK(to_lower("ÄB@Example") == "Äb@example");
    CHECK(equals_ignoring_case("FrOm", "from"));
    CHECK_FALSE(equals_ignoring_case("fro", "from"));
    CHECK(starts_with_ignoring_case("SUBJECT: x", "subject:"));
    CHECK(ends_with_ignoring_case("a.EXAMPLE", ".example"));
}

TEST_CASE("a stranger's octets cannot break a log line") {
    CHECK(printable("a\r\nb\x80") == "a\\x0d\\x0ab\\x80");
    CHECK(printable("abcdef", 3) == "abc...");
    CHECK(printable("abc", 3) == "abc");
}

TEST_CASE("the nearest name is offered for a typing mistake and not for a stranger") {
    Pieces const names{"Selector", "KeyTable", "SigningTable"};
    CHECK(nearest_name("Selecter", names) == "Selector");
    CHECK(nearest_name("keytabel", names) == "KeyTable");
    CHECK_FALSE(nearest_name("Whatever", names));
}

TEST_CASE("replacing all takes every occurrence once") {
    CHECK(replace_all("a''b''", "''", "'") == "a'b'");
    CHECK(replace_all("aaa", "a", "aa") == "aaaaaa");
    CHECK(replace_all("abc", "", "x") == "abc");
}
