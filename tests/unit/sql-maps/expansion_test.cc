// The % language: what is expanded, and what is skipped.
#include "sql-maps/expansion.h"

#include "tests/unit/support/catch.h"

using namespace postern;
using sql_maps::Key;
using sql_maps::Needs;
using sql_maps::ResultFormat;

namespace {

Needs needs_of(std::string_view letters) {
    Needs needs;
    for (char const letter : letters) needs.of_query(std::string(1, letter));
    return needs;
}

// The letters' values, each in brackets; "skipped".
std::string key(std::string_view text, std::string_view letters) {
    auto const made = Key::make(text, needs_of(letters));
    if (!made) return "skipped";
    std::string out;
    for (char const letter : letters) out += "[" + made->variable(letter) + "]";
    return out;
}

std::string result(std::string_view format, std::string_view value, std::string_view from_key) {
    Needs needs;
    auto const parsed = ResultFormat::parse(format, needs);
    if (!parsed) return "error: " + parsed.error().text;
    auto const made = Key::make(from_key, needs);
    if (!made) return "key skipped";
    return parsed->apply(value, *made, needs).value_or("skipped");
}

} // namespace

TEST_CASE("A key divides at its last @, and labels count from the right") {
    CHECK(key("alice@example.com", "sSuUdD12") ==
          "[alice@example.com][alice@example.com][alice][alice][example.com][example.com][com][example]");
    CHECK(key("a@b@c.d", "ud") == "[a@b][c.d]");
    CHECK(key("alice", "su") == "[alice][alice]");
    CHECK(key("a@1.2.3.4.5.6.7.8.9", "9") == "[1]");
}

TEST_CASE("Keys that lack what the templates use are skipped") {
    CHECK(key("", "s") == "skipped");
    CHECK(key("alice", "d") == "skipped");
    CHECK(key("alice@", "d") == "skipped");
    CHECK(key("alice@", "s") == "[alice@]");
    CHECK(key("@example.com", "u") == "skipped");
    CHECK(key("@example.com", "sd") == "[@example.com][example.com]");
    CHECK(key("a@com", "2") == "skipped");
    CHECK(key("a@x..com", "12") == "[com][x]");
    CHECK(key("a@.com", "2") == "skipped");
    CHECK(key("a@com.", "1") == "[com]");
}

TEST_CASE("A result format mixes the value's parts with the key's") {
    CHECK(result("smtp:[%d]-%u-%S-%U-%D-%%", "one@d1", "k@example.com") ==
          "smtp:[d1]-one-k@example.com-k-example.com-%");
    CHECK(result("%s", "v", "k") == "v");
    CHECK(result("OK", "v", "k") == "OK");
    CHECK(result("%2", "v", "k@a.b") == "a");
    CHECK(result("%u", "plain", "k") == "plain");
}

TEST_CASE("Values and keys that lack what the result format uses are skipped") {
    CHECK(result("%d", "plain", "k") == "skipped");
    CHECK(result("%d", "plain@", "k") == "skipped");
    CHECK(result("%u", "@d", "k") == "skipped");
    CHECK(result("%D", "v", "k") == "key skipped");
    CHECK(result("%U", "v", "@k") == "key skipped");
}

TEST_CASE("Unknown variables are refused") {
    CHECK(result("%x", "v", "k").starts_with("error: '%x' is unknown"));
    CHECK(result("%0", "v", "k").starts_with("error: "));
    CHECK(result("50%", "v", "k") == "error: a '%' stands at the end");
}
