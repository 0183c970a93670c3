// The command line of milter-dkim-rotate.
#include "milter-dkim/tools/rotate/options.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::milter_dkim::tools;
using Publish = RotateOptions::Publish;

namespace {

Result<RotateOptions> read(std::vector<char const*> const& words) {
    auto const line = daemon::CommandLine::parse(words, rotate_options());
    if (!line) return std::unexpected(line.error());
    return read_rotate_options(*line, 1'800'000'000);
}

} // namespace

TEST_CASE("without options records are printed, monthly, and kept for two weeks") {
    auto const options = read({});
    REQUIRE(options);
    CHECK(options->publish == Publish::print);
    CHECK(options->plan.pattern == "%Y%m");
    CHECK(options->plan.now == 1'800'000'000);
    CHECK(options->rotator.keep == 14 * 86400);
    CHECK(options->authority.port == 53);
}

TEST_CASE("a key file means updates, and each way excludes the others") {
    test::TempDir const dir;
    auto const key = dir.write("key", "hmac-sha256:k:VGhlIHNlY3JldA==");
    CHECK(read({"-k", key.c_str()})->publish == Publish::update);
    CHECK(read({"--publish", "nsupdate"})->publish == Publish::update);
    CHECK(read({"-k", key.c_str(), "--publish=print"})->publish == Publish::print);
    CHECK(read({"--command", "nsupdate"})->publish == Publish::command);
    CHECK_FALSE(read({"--command", "nsupdate", "-k", key.c_str()}));
    CHECK_FALSE(read({"--publish", "magic"}));
    CHECK_FALSE(read({"-k", "/nonexistent"}));
}

TEST_CASE("everything for tests and odd set-ups can be said") {
    auto const options = read({"--date",
                               "2026-11-21",
                               "--authority",
                               "127.0.0.1@5301",
                               "--authority=127.0.0.2",
                               "--port",
                               "5300",
                               "--server",
                               "::1",
                               "--resolver",
                               "127.0.0.1@53",
                               "--zone",
                               "a.example",
                               "--wait",
                               "2s",
                               "--interval",
                               "100ms",
                               "--keep=0",
                               "--after",
                               "30",
                               "--pattern",
                               "s%n",
                               "-d",
                               "A.example",
                               "-b",
                               "3072"});
    REQUIRE(options);
    CHECK(date_text(options->plan.now) == "2026-11-21");
    CHECK(to_text(options->authority.servers[0]) == "127.0.0.1@5301");
    CHECK(to_text(options->authority.servers[1]) == "127.0.0.2@5300");
    CHECK(to_text(options->authority.primary[0]) == "::1@5300");
    CHECK(options->resolver == std::vector<std::string>{"127.0.0.1@53"});
    CHECK(options->rotator.wait == std::chrono::seconds(2));
    CHECK(options->interval == std::chrono::milliseconds(100));
    CHECK(options->plan.minimum_age == 30 * 86400);
    CHECK(options->plan.domains == std::vector<std::string>{"a.example"});
    CHECK(options->plan.bits == 3072);
}

TEST_CASE("mistakes are told before anything is done") {
    CHECK_FALSE(read({"--pattern", "%Q"}));
    CHECK_FALSE(read({"--pattern", "s%n"})); // would rotate in every run
    CHECK_FALSE(read({"--bits", "512"}));
    CHECK_FALSE(read({"--keep", "-1"}));
    CHECK_FALSE(read({"--date", "today"}));
    CHECK_FALSE(read({"--authority", "ns.example"}));
    CHECK_FALSE(read({"-d", "a b"}));
    CHECK_FALSE(read({"a.example"}));
}
