// Options as getopt reads them.
#include "common/daemon/command_line.h"

#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::daemon;

namespace {

constexpr std::array specs{help_option,
                           version_option,
                           check_option,
                           print_defaults_option,
                           OptionSpec{'c', "config", "FILE", "read FILE"},
                           OptionSpec{'v', "", "", "say more"}};

Result<CommandLine> parse(std::vector<char const*> const& arguments) {
    return CommandLine::parse(arguments, specs);
}

} // namespace

TEST_CASE("letters may be joined and an argument may be joined to its letter or follow") {
    auto const line = parse({"-vn", "-c", "a", "-cb", "x", "--", "-v"});
    REQUIRE(line);
    CHECK(line->has("v"));
    CHECK(line->has("n"));
    CHECK(line->values("c") == std::vector<std::string>{"a", "b"});
    CHECK(line->value("config") == "b");
    CHECK(line->operands() == std::vector<std::string>{"x", "-v"});
}

TEST_CASE("long options take their value behind '=' or as the next argument") {
    CHECK(parse({"--config=a"})->value("c") == "a");
    CHECK(parse({"--config", "b"})->value("c") == "b");
    CHECK(parse({"--print-defaults"})->has("print-defaults"));
}

TEST_CASE("what is no option is refused by name") {
    CHECK(parse({"-z"}).error().text == "unknown option -z");
    CHECK(parse({"--zap"}).error().text == "unknown option --zap");
    CHECK(parse({"-c"}).error().text == "option -c needs a value (FILE)");
    CHECK(parse({"--config"}).error().text == "option --config needs a value (FILE)");
    CHECK(parse({"--help=me"}).error().text == "option --help takes no value");
    CHECK(parse({"-"})->operands() == std::vector<std::string>{"-"});
}

TEST_CASE("the help fits a screen of 80 columns and names every option") {
    CHECK(help_text("x [-n] [-c FILE]", "Does a thing.", specs) ==
          "Usage: x [-n] [-c FILE]\n\nDoes a thing.\n\n"
          "  -h, --help            print this help and exit\n"
          "  -V, --version         print the version and exit\n"
          "  -n                    check the configuration: exit 0 when it is good, 78 when not\n"
          "      --print-defaults  print every setting with its default and exit\n"
          "  -c, --config FILE     read FILE\n"
          "  -v                    say more\n");
}
