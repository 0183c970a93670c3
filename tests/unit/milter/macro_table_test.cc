// Which value a macro has at each stage.
#include "common/milter/macro_table.h"

#include "tests/unit/support/catch.h"

using namespace postern::milter;

TEST_CASE("a letter in braces and one without are the same macro, a longer name is not") {
    MacroTable table;
    table.set('C', {"j", "mx.example", "{v}", "Postfix", "{daemon_name}", "smtpd"});
    CHECK(table.get("{j}") == "mx.example");
    CHECK(table.get("v") == "Postfix");
    CHECK(table.get("{daemon_name}") == "smtpd");
    CHECK(table.get("daemon_name") == std::nullopt);
    CHECK(table.get("i") == std::nullopt);
}

TEST_CASE("a later stage hides an earlier one, and its start takes away what came after it") {
    MacroTable table;
    table.set('C', {"i", "connect"});
    table.set('M', {"i", "mail", "{auth_type}", "PLAIN"});
    table.set('R', {"i", "rcpt"});
    CHECK(table.get("i") == "rcpt");
    table.set('M', {"i", "second"});
    CHECK(table.get("i") == "second");
    CHECK(table.get("{auth_type}") == std::nullopt);
    table.set('N', {"i", "headers"});
    table.set('E', {"i", "end"});
    CHECK(table.get("i") == "end");
}

TEST_CASE("a message's macros go with it, the connection's stay") {
    MacroTable table;
    table.set('C', {"j", "mx"});
    table.set('M', {"{auth_authen}", "anna"});
    table.forget_message();
    CHECK(table.get("{auth_authen}") == std::nullopt);
    CHECK(table.get("j") == "mx");
    table.forget_all();
    CHECK(table.get("j") == std::nullopt);
}

TEST_CASE("a name without a value and a letter without a stage give no macro") {
    MacroTable table;
    table.set('C', {"j", "mx", "v"});
    table.set('U', {"k", "x"});
    CHECK(table.get("v") == std::nullopt);
    CHECK(table.get("k") == std::nullopt);
}
