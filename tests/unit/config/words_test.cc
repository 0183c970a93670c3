// The format of opendkim.conf.
#include "common/config/words.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::config;

TEST_CASE("a name and the rest of its line are read, and '#' cuts anywhere") {
    auto const result =
        parse_words("# comment\nDomain   example.com, example.org # two\n\n\tMode\tsv\r\n", "x.conf");
    CHECK(result.problems.empty());
    REQUIRE(result.assignments.size() == 2);
    CHECK(result.assignments[0].name == "Domain");
    CHECK(result.assignments[0].value == "example.com, example.org");
    CHECK(result.assignments[0].place.to_string() == "x.conf:2");
    CHECK(result.assignments[1].value == "sv");
}

TEST_CASE("a name without a value is reported and the other lines still count") {
    auto const result = parse_words("Domain\nMode sv\n", "x.conf");
    REQUIRE(result.problems.size() == 1);
    CHECK(result.problems[0].to_string() == "x.conf:1: Domain: required value missing");
    CHECK(result.assignments.size() == 1);
}

TEST_CASE("Include is followed at its place and an endless one is stopped") {
    test::TempDir const dir;
    dir.write("b.conf", "B 2\n");
    auto const a = dir.write("a.conf", "A 1\nInclude " + dir.path("b.conf") + "\nC 3\n");
    auto const result = read_words(a);
    REQUIRE(result.assignments.size() == 3);
    CHECK(result.assignments[1].name == "B");
    CHECK(result.assignments[2].name == "C");

    auto const self = dir.write("self.conf", "Include " + dir.path("self.conf") + "\n");
    auto const endless = read_words(self);
    REQUIRE(endless.problems.size() == 1);
    CHECK(endless.problems[0].text == "Include is nested more than 10 deep");
}

TEST_CASE("a missing file and a missing include are problems") {
    test::TempDir const dir;
    CHECK(read_words(dir.path("none")).problems.size() == 1);
    auto const result = read_words(dir.write("a.conf", "Include " + dir.path("none") + "\n"));
    REQUIRE(result.problems.size() == 1);
    CHECK(result.problems[0].to_string() ==
          dir.path("a.conf") + ":1: " + dir.path("none") + ": No such file or directory");
}
