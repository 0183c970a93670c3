// ReplaceRules, with regular expressions that do not end.
#include "milter-dkim/sign/replacements.h"

#include "common/base/text.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::milter_dkim;

namespace {

std::string applied(std::string_view rules, std::string value) {
    std::vector<config::Problem> problems;
    auto const made = Replacements::parse(rules, "r", problems);
    REQUIRE(problems.empty());
    return made.applied(std::move(value));
}

std::string problems_of(std::string_view rules) {
    std::vector<config::Problem> problems;
    Replacements::parse(rules, "r", problems);
    std::string out;
    for (auto const& each : problems) out += each.to_string() + "\n";
    return out;
}

} // namespace

TEST_CASE("every match is replaced, by the last rule first, as OpenDKIM does it") {
    CHECK(applied("@host\\.example\t@example\n", " a@host.example, b@host.example") ==
          " a@example, b@example");
    CHECK(applied("b\tc\na\tb\n", "a") == "c");
    CHECK(applied("a\tb\nb\tc\n", "a") == "b");
    CHECK(applied("x*y\t\n", "axxyb") == "ab");
    CHECK(applied("a\tb\tc\n", "a\tb") == "c"); // the last tab counts
    CHECK(applied("# nothing\n\n \t# nothing\n", "a") == "a");
    CHECK(applied("a\tb # the blank belongs to the text\n", "a") == "b ");
}

TEST_CASE("a rule that matches its own text ends, and nothing grows without bound") {
    CHECK(applied("a\taa\n", "a").size() == 1 + Replacements::max_turns);
    CHECK(applied("^\tx\n", "").size() == static_cast<std::size_t>(Replacements::max_turns));
    auto const large = std::string(Replacements::max_value, 'b') + "a";
    CHECK(applied("a\tcc\n", large) == large);
    auto const fits = std::string(Replacements::max_value - 2, 'b');
    CHECK(applied("a\tcc\n", fits + "a") == fits + "cc");
    CHECK(applied("a\tb\n", std::string("a\0a", 3)) == std::string("a\0a", 3));
}

TEST_CASE("a rule that cannot be read is told with its line") {
    CHECK(problems_of("a\tb\nno tab\n\\(\tx\n")
              .starts_with("r:2: expected a regular expression, a tab and the text for it\nr:3: the regular "
                           "expression: "));
    std::string many;
    for (std::size_t i = 0; i < Replacements::max_rules; ++i) many += "a\tb\n";
    CHECK(problems_of(many).empty());
    CHECK(problems_of(many + "a\tb\n") == "r:1001: more than 1000 rules\n");
}
