// Paths of MAIL FROM and RCPT TO.
#include "lmtp-deliver/path.h"

#include "tests/unit/support/catch.h"

using namespace postern::lmtp_deliver;

namespace {

std::string shown(std::string_view text) {
    auto const path = parse_path(text);
    if (!path) return std::string(to_string(path.error()));
    return path->address.to_string() + "|" + path->address.user_name() + "|" + std::string(path->rest);
}

} // namespace

TEST_CASE("paths are read as Dovecot reads them") {
    CHECK(shown("<alice@example.com>") == "alice@example.com|alice@example.com|");
    CHECK(shown("<>") == "||");
    CHECK(shown("<a@b.c> SIZE=1 X") == "a@b.c|a@b.c|SIZE=1 X");
    CHECK(shown("<postmaster>") == "postmaster|postmaster|");
    CHECK(shown("<@a,@b:alice@example.com>") == "alice@example.com|alice@example.com|");
    CHECK(shown("<\"al ice\"@example.com>") == "\"al ice\"@example.com|al ice@example.com|");
    CHECK(shown("<\"al\\\"ice\"@x>") == "\"al\\\"ice\"@x|al\"ice@x|");
    CHECK(shown("<\"alice\"@example.com>") == "alice@example.com|alice@example.com|");
    CHECK(shown("<.alice@example.com>") == "\".alice\"@example.com|.alice@example.com|");
    CHECK(shown("<alice+../x@example.com>") == "\"alice+../x\"@example.com|alice+../x@example.com|");
    CHECK(shown("<alice@[1.2.3.4]>") == "alice@[1.2.3.4]|alice@[1.2.3.4]|");
    CHECK(shown("<alice@exa_mple.com>") == "alice@exa_mple.com|alice@exa_mple.com|");
    CHECK(shown("<\xc3\xa4@b\xc3\xbc.c>") == "\xc3\xa4@b\xc3\xbc.c|\xc3\xa4@b\xc3\xbc.c|");
}

TEST_CASE("each mistake in a path has Dovecot's words") {
    CHECK(shown("") == "Path is empty string");
    CHECK(shown(" <a@b>") == "Unexpected whitespace before path");
    CHECK(shown("a@b.c") == "Missing '<' at beginning of path");
    CHECK(shown("<a@b") == "Missing '>' at end of path");
    CHECK(shown("<a@b@c>") == "Missing '>' at end of path");
    CHECK(shown("<a@b.c>x") == "Invalid character in path");
    CHECK(shown("<a b@c>") == "Invalid character in localpart");
    CHECK(shown("<@example.com>") == "Missing ':' at end of source route");
    CHECK(shown("<a@>") == "Missing domain after '@'");
    CHECK(shown("<a@b.c.>") == "Invalid character in domain");
    CHECK(shown("<a@b..c>") == "Invalid character in domain");
    CHECK(shown("<\"a@b>") == "Missing '\"' at end of quoted localpart");
    CHECK(shown("<\"a\\") == "Missing '\"' at end of quoted localpart");
    CHECK(shown("<") == "Invalid character in localpart");
}

TEST_CASE("the detail begins behind the first delimiter") {
    auto const split = [](std::string local, std::string_view delimiters) {
        auto const [address, detail] = split_detail({std::move(local), "example.com"}, delimiters);
        return address.user_name() + "|" + detail;
    };
    CHECK(split("alice+Junk", "+") == "alice@example.com|Junk");
    CHECK(split("alice+a+b", "+") == "alice@example.com|a+b");
    CHECK(split("alice+", "+") == "alice@example.com|");
    CHECK(split("+alice", "+") == "@example.com|alice");
    CHECK(split("a-b+c", "+-") == "a@example.com|b+c");
    CHECK(split("alice+Junk", "") == "alice+Junk@example.com|");
}

TEST_CASE("addresses are the same when only the case of the domain differs") {
    CHECK(Address{"a", "b.C"}.is_same_as({"a", "B.c"}));
    CHECK_FALSE(Address{"A", "b.c"}.is_same_as({"a", "b.c"}));
}
