// JSON from strangers: what is read, what is refused, and the limits.
#include "common/json/json.h"

#include "tests/unit/support/catch.h"

using namespace postern;

namespace {

std::string problem(std::string_view text, json::Limits limits = {}) {
    auto const read = json::parse(text, limits);
    return read ? "read as " + json::write(*read) : read.error().text;
}

std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

} // namespace

TEST_CASE("every kind of value is read and written back") {
    auto const text = R"({"a":[1,-2,2.5,true,false,null,"x\"y"],"b":{"c":"\u00e9"}})";
    auto const value = json::parse(text);
    REQUIRE(value);
    CHECK(json::write(*value) == "{\"a\":[1,-2,2.5,true,false,null,\"x\\\"y\"],\"b\":{\"c\":\"\xc3\xa9\"}}");
    CHECK(*value->find("b")->find("c")->text() == "\xc3\xa9");
    CHECK(value->find("nothing") == nullptr);
    CHECK(value->find("a")->find("a") == nullptr);
    CHECK(*value->find("a")->array()->at(0).integer() == 1);
    CHECK(*value->find("a")->array()->at(2).fraction() == 2.5);
}

TEST_CASE("a scalar as text is what a configuration compares with") {
    auto const value = json::parse(R"({"yes":true,"no":false,"n":42,"f":0.5,"t":"x","l":[],"z":null})");
    REQUIRE(value);
    CHECK(value->find("yes")->scalar() == "true");
    CHECK(value->find("no")->scalar() == "false");
    CHECK(value->find("n")->scalar() == "42");
    CHECK(value->find("f")->scalar() == "0.5");
    CHECK(value->find("t")->scalar() == "x");
    CHECK(value->find("l")->scalar() == std::nullopt);
    CHECK(value->find("z")->scalar() == std::nullopt);
}

TEST_CASE("a name that stands twice in an object is refused, for two readers may take different ones") {
    CHECK(problem(R"({"exp":1,"exp":2})") == "JSON: a name stands twice in an object");
    CHECK(problem(R"({"a":{"exp":1},"b":{"exp":2}})") == R"(read as {"a":{"exp":1},"b":{"exp":2}})");
}

TEST_CASE("broken JSON is refused") {
    for (auto const* text : {"", "{", "[1,]", "{\"a\"}", "nul", "\"\xff\"", "1 2", "{} x", "// c\n1"})
        CHECK(problem(text).starts_with("JSON: broken at octet "));
}

TEST_CASE("nesting and size are read at the limit and refused one past it") {
    json::Limits const limits{.octets = 20, .depth = 4};
    CHECK(problem(nested(4), limits) == "read as [[[[]]]]");
    CHECK(problem(nested(5), limits) == "JSON: nested too deeply");
    CHECK(problem('"' + std::string(18, 'x') + '"', limits) == "read as \"" + std::string(18, 'x') + '"');
    CHECK(problem('"' + std::string(19, 'x') + '"', limits) == "JSON of more than 20 octets");
}

TEST_CASE("numbers beyond 64 bits become fractions, not other numbers") {
    auto const value = json::parse("[9223372036854775807,9223372036854775808]");
    REQUIRE(value);
    CHECK(*value->array()->at(0).integer() == 9223372036854775807);
    CHECK(value->array()->at(1).integer() == nullptr);
    CHECK(*value->array()->at(1).fraction() > 9.2e18);
}

TEST_CASE("octets that are no UTF-8 are written as the replacement character") {
    CHECK(json::write(json::Value(std::string("a\xff"))) == "\"a\xef\xbf\xbd\"");
}
