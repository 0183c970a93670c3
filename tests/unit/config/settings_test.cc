// The settings table: every mistake reported with its place, defaults printed from the same rows.
#include "common/config/settings.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::config;

namespace {

struct Demo {
    std::string selector;
    int timeout = 5;
};

Table<Demo> demo_table(NameCase name_case) {
    return Table<Demo>(
        {{"Selector", "", "Name of the key.",
          [](Demo& demo, std::string_view value) -> Result<> {
              demo.selector = value;
              return {};
          }},
         {"DNSTimeout", "5", "Seconds to wait for the DNS.",
          [](Demo& demo, std::string_view value) -> Result<> {
              auto const number = parse_integer(value, 0, 60);
              if (!number) return std::unexpected(number.error());
              demo.timeout = *number;
              return {};
          }},
         {"LDAPTimeout", "5", "Seconds to wait for LDAP.", nullptr, "LDAP data sets are not supported"}},
        name_case);
}

} // namespace

TEST_CASE("every mistake of a file is reported with its place, and the good lines still count") {
    Demo demo;
    auto const problems = demo_table(NameCase::ignored)
                              .apply(demo, {{"selector", "mail", {"x.conf", 1}},
                                            {"Selecter", "a", {"x.conf", 2}},
                                            {"DNSTimeout", "soon", {"x.conf", 3}},
                                            {"LDAPTimeout", "7", {"x.conf", 4}},
                                            {"DNSTimeout", "9", {"x.conf", 5}}});
    CHECK(demo.selector == "mail");
    CHECK(demo.timeout == 9);
    REQUIRE(problems.size() == 3);
    CHECK(problems[0].to_string() == "x.conf:2: unknown setting \"Selecter\"; did you mean \"Selector\"?");
    CHECK(problems[1].to_string() == "x.conf:3: DNSTimeout: \"soon\" is not a number from 0 to 60");
    CHECK(problems[2].to_string() ==
          "x.conf:4: warning: LDAPTimeout has no effect: LDAP data sets are not supported");
    CHECK(has_errors(problems));
}

TEST_CASE("names keep their case where the replaced program keeps it") {
    Demo demo;
    auto const problems = demo_table(NameCase::exact).apply(demo, {{"selector", "mail", {"x.conf", 1}}});
    REQUIRE(problems.size() == 1);
    CHECK(demo.selector.empty());
}

TEST_CASE("the printed defaults are the table's rows, and unset ones are commented out") {
    CHECK(defaults_text(default_rows(demo_table(NameCase::ignored)), FileStyle::words) ==
          "# Name of the key.\n#Selector\t\n\n# Seconds to wait for the DNS.\nDNSTimeout\t5\n\n"
          "# Seconds to wait for LDAP.\n# Accepted, no effect: LDAP data sets are not "
          "supported\nLDAPTimeout\t5\n\n");
}

TEST_CASE("a file that is missing, a directory or too large is an error that names it") {
    test::TempDir const dir;
    CHECK(read_file(dir.path("none")).error().text == dir.path("none") + ": No such file or directory");
    CHECK(read_file(dir.path()).error().text == dir.path() + ": not a regular file");
    CHECK(read_file(dir.write("limit", std::string(1 << 20, 'x')))->size() == 1 << 20);
    CHECK(read_file(dir.write("large", std::string((1 << 20) + 1, 'x'))).error().text ==
          dir.path("large") + ": larger than 1 MiB");
}

TEST_CASE("booleans, numbers and modes are read whole or refused") {
    CHECK(parse_boolean("Yes") == true);
    CHECK(parse_boolean("off") == false);
    CHECK_FALSE(parse_boolean("maybe"));
    CHECK(parse_mode("0660") == 0660U);
    CHECK_FALSE(parse_mode("0999"));
    CHECK_FALSE(parse_integer("61", 0, 60));
}
