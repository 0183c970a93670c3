// "name = value" in the styles of Postfix, Dovecot and policyd-spf.
#include "common/config/assignments.h"

#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::config;

TEST_CASE("in Postfix' style a leading blank continues a line, over comments too") {
    auto const result = parse_assignments(
        "query = SELECT a\n  FROM t\n# comment\n\n\tWHERE b='%s'\nuser = u\n", "x.cf", postfix_style);
    CHECK(result.problems.empty());
    REQUIRE(result.assignments.size() == 2);
    CHECK(result.assignments[0].value == "SELECT a FROM t WHERE b='%s'");
    CHECK(result.assignments[1].place.line == 6);
}

TEST_CASE("in Postfix' style a '#' inside a value belongs to it and '=' splits once") {
    auto const result = parse_assignments("password = a#b=c\n", "x.cf", postfix_style);
    REQUIRE(result.assignments.size() == 1);
    CHECK(result.assignments[0].value == "a#b=c");
}

TEST_CASE("in Dovecot's SQL style a trailing backslash continues and quotes are taken off") {
    auto const result =
        parse_assignments("password_query = SELECT a \\\n  FROM t \\\n  WHERE b='%u'\nconnect = \"/x y\"\n",
                          "sql.conf", dovecot_sql_style);
    REQUIRE(result.assignments.size() == 2);
    CHECK(result.assignments[0].value == "SELECT a FROM t WHERE b='%u'");
    CHECK(result.assignments[1].value == "/x y");
}

TEST_CASE("a line without '=' is a problem with its place, and the rest still counts") {
    auto const result = parse_assignments("{{ if x }}\nuser = u\n", "x.cf", postfix_style);
    REQUIRE(result.problems.size() == 1);
    CHECK(result.problems[0].to_string() == "x.cf:1: \"{{ if x }}\" is not of the form \"name = value\"");
    CHECK(result.assignments.size() == 1);
}

TEST_CASE("in policyd-spf's style '#' cuts the line anywhere") {
    auto const result =
        parse_assignments("debugLevel = 1 # quiet\n", "p.conf", AssignmentStyle{.hash_anywhere = true});
    REQUIRE(result.assignments.size() == 1);
    CHECK(result.assignments[0].value == "1");
}
