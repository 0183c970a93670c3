// Templates: what becomes a bound value, what stays text, for each database's lexer.
#include "common/sql/template.h"

#include "tests/unit/support/catch.h"

#include <map>

using namespace postern;
using sql::Driver;
using sql::Template;

namespace {

// One letter or digit behind the '%'; %x is refused.
Result<Template::Variable> scan(std::string_view after) {
    if (after.empty() || after[0] == 'x') return permanent("unknown variable");
    return Template::Variable{1, std::string(after.substr(0, 1))};
}

// "SQL text with ? | value | value", or "error: ...".
std::string bound(std::string_view text, Driver driver,
                  std::map<std::string, std::string> const& values = {
                      {"s", "it's"}, {"u", "me"}, {"d", "a.b"}}) {
    auto made = Template::parse(text, driver, scan);
    if (!made) return "error: " + made.error().text;
    auto out =
        made->bind([&](std::string_view name) -> Result<std::string> { return values.at(std::string(name)); },
                   [&](std::string_view value) { return sql::escape(driver, value); });
    REQUIRE(out);
    REQUIRE(out->values.size() == out->statement.parameters());
    std::string shown;
    for (std::size_t i = 0; i < out->statement.fragments.size(); ++i)
        shown += (i == 0 ? "" : "?") + out->statement.fragments[i];
    for (auto const& value : out->values) shown += " | " + value;
    return shown;
}

constexpr Driver all[] = {Driver::postgresql, Driver::mariadb, Driver::sqlite};

} // namespace

TEST_CASE("A quoted variable is one bound value for every driver") {
    for (auto const driver : all) {
        CHECK(bound("SELECT a FROM t WHERE k='%s'", driver) == "SELECT a FROM t WHERE k=? | it's");
        CHECK(bound("x='%u@%d' or y='%s'", driver) == "x=? or y=? | me@a.b | it's");
        CHECK(bound("k LIKE '%%%s%%'", driver) == "k LIKE ? | %it's%");
        CHECK(bound("k='a''%s'''", driver) == "k=? | a'it's'");
        CHECK(bound("concat('%u','@',x)", driver) == "concat(?,'@',x) | me");
    }
}

TEST_CASE("A literal without a variable stays as it is, but for doubled percent signs") {
    for (auto const driver : all) {
        CHECK(bound("'%u' NOT LIKE '%%+%%'", driver) == "? NOT LIKE '%+%' | me");
        CHECK(bound("SELECT 'it''s', 5 %% 2", driver) == "SELECT 'it''s', 5 % 2");
        CHECK(bound("SELECT ':'", driver) == "SELECT ':'");
        CHECK(bound("", driver).empty());
    }
}

TEST_CASE("A variable outside quotes becomes escaped text and is named") {
    auto const made = Template::parse("SELECT %u WHERE k='%s'", Driver::postgresql, scan);
    REQUIRE(made);
    CHECK(made->bare_variables() == std::vector<std::string>{"u"});
    CHECK(made->variables() == std::vector<std::string>{"u", "s"});
    CHECK(bound("k=%s", Driver::postgresql) == "k=it''s");
    CHECK(bound("k=%s", Driver::mariadb) == "k=it\\'s");
    CHECK(bound("k=%s", Driver::sqlite) == "k=it''s");
}

TEST_CASE(
    "Double quotes are strings in MariaDB, identifiers in PostgreSQL, strings with a variable in SQLite") {
    CHECK(bound(R"(k="%s")", Driver::mariadb) == "k=? | it's");
    CHECK(bound(R"(k="a""%u")", Driver::mariadb) == "k=? | a\"me");
    CHECK(bound(R"(k="%s")", Driver::sqlite) == "k=? | it's");
    CHECK(bound(R"(SELECT "a" FROM "t")", Driver::sqlite) == R"(SELECT "a" FROM "t")");
    CHECK(bound(R"(SELECT 1 FROM "t_%d" WHERE k='%u')", Driver::postgresql, {{"d", "x\"y"}, {"u", "v"}}) ==
          R"(SELECT 1 FROM "t_x""y" WHERE k=? | v)");
    CHECK(bound("SELECT 1 FROM `t_%d`", Driver::mariadb, {{"d", "x`y"}}) == "SELECT 1 FROM `t_x``y`");
    CHECK(bound(R"(SELECT "it's" WHERE k='%s')", Driver::postgresql) == R"(SELECT "it's" WHERE k=? | it's)");
}

TEST_CASE("Backslashes escape in MariaDB and in PostgreSQL's E strings only") {
    CHECK(bound(R"(k='a\'%s')", Driver::mariadb) == "k=? | a'it's");
    CHECK(bound(R"(k='a\\%s')", Driver::mariadb) == "k=? | a\\it's");
    CHECK(bound(R"(k LIKE '%s\_x\%%')", Driver::mariadb) == R"(k LIKE ? | it's\_x\%)");
    CHECK(bound(R"(k='a\\' AND l='%s')", Driver::mariadb) == R"(k='a\\' AND l=? | it's)");
    CHECK(bound(R"(k='a\' AND l='%s')", Driver::postgresql) == R"(k='a\' AND l=? | it's)");
    CHECK(bound(R"(k=E'a\'%s\n')", Driver::postgresql) == "k=? | a'it's\n");
    CHECK(bound(R"(k=E'a\'b')", Driver::postgresql) == R"(k=E'a\'b')");
    CHECK(bound(R"(k='\%s')", Driver::mariadb) == "error: a backslash stands before a variable");
}

TEST_CASE("Neighbouring literals are one value where the server joins them") {
    CHECK(bound("SELECT '%u' '@' \"%d\"", Driver::mariadb) == "SELECT ? | me@a.b");
    CHECK(bound("SELECT '%u'\n  '@x'", Driver::postgresql) == "SELECT ? | me@x");
    CHECK(bound("SELECT '%u' 'x'", Driver::sqlite) == "SELECT ? 'x' | me");
}

TEST_CASE("Dollar quotes are strings in PostgreSQL only") {
    CHECK(bound("k=$$%s$$ AND 1=1", Driver::postgresql) == "k=? AND 1=1 | it's");
    CHECK(bound("k=$q$a$$%s$q$", Driver::postgresql) == "k=? | a$$it's");
    CHECK(bound("k=$q$a'b$q$", Driver::postgresql) == "k=$q$a'b$q$");
    CHECK(bound("k=$$%s", Driver::postgresql).starts_with("error: "));
    CHECK(bound("k=a$1", Driver::postgresql) == "k=a$1");
}

TEST_CASE("Comments hide quotes, and no value gets into one") {
    CHECK(bound("SELECT 1 -- don't %s\n WHERE k='%s'", Driver::postgresql) ==
          "SELECT 1 -- don't \n WHERE k=? | it's");
    CHECK(bound("SELECT 1 # don't\n WHERE k='%s'", Driver::mariadb) == "SELECT 1 # don't\n WHERE k=? | it's");
    CHECK(bound("5--4 WHERE k='%s'", Driver::mariadb) == "5--4 WHERE k=? | it's");
    CHECK(bound("/* it's /* nested */ ' */ k='%s'", Driver::postgresql) ==
          "/* it's /* nested */ ' */ k=? | it's");
    CHECK(bound("/* it's */ k='%s'", Driver::sqlite) == "/* it's */ k=? | it's");
    CHECK(bound("/*!40000 k='%s' */", Driver::mariadb) == "/*!40000 k=? */ | it's");
    CHECK(bound("k='%s' /* %s", Driver::sqlite) == "k=? /*  | it's");
}

TEST_CASE("Literals that cannot be bound and unfinished ones are refused") {
    CHECK(bound("k=N'%s'", Driver::mariadb) == "k=? | it's");
    CHECK(bound("a=1 OR'%s'=b", Driver::mariadb) == "a=1 OR?=b | it's");
    CHECK(bound("k=X'%s'", Driver::sqlite) == "error: a variable in a X'...' literal cannot be bound");
    CHECK(bound("k=_utf8'%s'", Driver::mariadb) ==
          "error: a variable in a _utf8'...' literal cannot be bound");
    CHECK(bound("k=U&'%s'", Driver::postgresql) == "error: a variable in a U&'...' literal cannot be bound");
    CHECK(bound("k='%s", Driver::sqlite) == "error: a ' quote is not closed");
    CHECK(bound("k=\"a", Driver::postgresql) == "error: a \" quote is not closed");
    CHECK(bound("k='a\\", Driver::mariadb) == "error: a quote is not closed");
    CHECK(bound("k='%x'", Driver::sqlite) == "error: unknown variable");
    CHECK(bound("k=%", Driver::sqlite) == "error: unknown variable");
}

TEST_CASE("A lookup's error ends the binding") {
    auto const made = Template::parse("k='%s'", Driver::sqlite, scan);
    REQUIRE(made);
    auto const out =
        made->bind([](std::string_view) -> Result<std::string> { return permanent("suppressed"); },
                   [](std::string_view text) { return std::string(text); });
    REQUIRE(!out);
    CHECK(out.error().text == "suppressed");
}

TEST_CASE("Placeholders are numbered for PostgreSQL and kept apart from their neighbours") {
    sql::Statement const statement{{"a=", "AND b=", ""}};
    CHECK(sql::with_placeholders(statement, Driver::postgresql) == "a= $1 AND b= $2 ");
    CHECK(sql::with_placeholders(statement, Driver::mariadb) == "a= ? AND b= ? ");
}

TEST_CASE("A server's name for the log never shows a password") {
    sql::ServerSettings server;
    server.driver = Driver::postgresql;
    server.host = "postgresql://me:secret@db.example:5433/mail?password=secret";
    CHECK(server.to_string() == "postgresql://db.example:5433/mail");
    server.host = "db.example";
    server.port = 5432;
    CHECK(server.to_string() == "db.example:5432");
}
