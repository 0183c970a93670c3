// Whole outputs of milter-dkim-testkey, as opendkim-testkey gave them for the same records.
#include "milter-dkim/tools/testkey.h"

#include "common/base/text.h"
#include "milter-dkim/sign/keys.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"
#include "tests/unit/support/temp_dir.h"

#include <filesystem>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::milter_dkim::tools;
namespace fs = std::filesystem;

namespace {

struct Bench {
    Bench() {
        add("good", test::rsa_key());
        add("ed", test::ed25519_key(), "k=ed25519; ");
        resolver.zone.txt("other._domainkey.a.example", "p=" + public_part(test::make_rsa_key(1024)));
        resolver.zone.txt("revoked._domainkey.a.example", "v=DKIM1; p=");
        resolver.zone.txt("two._domainkey.a.example", "p=A").txt("two._domainkey.a.example", "p=B");
        resolver.zone.fail("broken._domainkey.a.example");
    }
    static std::string public_part(std::string const& pem) {
        return SigningKey::parse(pem, 1024).value()->public_base64();
    }
    void add(std::string const& name, std::string const& pem, std::string const& tags = "") {
        dir.write(name + ".private", pem);
        fs::permissions(dir.path(name + ".private"), fs::perms(0600));
        resolver.zone.txt(name + "._domainkey.a.example", "v=DKIM1; " + tags + "p=" + public_part(pem));
    }
    // "code|out|err" with the directory left out.
    std::string run(std::vector<char const*> const& words) {
        auto const line = daemon::CommandLine::parse(words, testkey_options());
        REQUIRE(line);
        auto const outcome = test_keys(read_testkey_options("t", *line, settings), settings, resolver);
        return replace_all(fmt::format("{}|{}|{}", outcome.code, outcome.out, outcome.err), dir.path() + "/",
                           "");
    }
    std::string one(char const* selector, std::string const& key = "") {
        if (key.empty()) return run({"-d", "a.example", "-s", selector, "-vvv"});
        auto const path = dir.path(key);
        return run({"-d", "a.example", "-s", selector, "-k", path.c_str(), "-vvv"});
    }

    test::TempDir dir;
    test::FakeResolver resolver;
    Settings settings;
};

} // namespace

TEST_CASE("a key that fits is OK, with more words for each v") {
    Bench bench;
    auto const key = bench.dir.path("good.private");
    auto const run = [&](std::vector<char const*> words) {
        words.insert(words.end(), {"-d", "a.example", "-s", "good", "-k", key.c_str()});
        return bench.run(words);
    };
    CHECK(run({}) == "0||");
    CHECK(run({"-v"}) == "0||t: key not secure\n");
    CHECK(run({"-vv"}) == "0||t: key loaded from good.private\nt: checking key 'good._domainkey.a.example'\n"
                          "t: key not secure\n");
    CHECK(run({"-vvv"}) == "0|t: key OK\n|t: key loaded from good.private\n"
                           "t: checking key 'good._domainkey.a.example'\nt: key not secure\n");
    bench.resolver.zone.secure = true;
    CHECK(run({"-v"}) == "0||t: key secure\n");
}

TEST_CASE("each failure has its text and its exit code") {
    Bench bench;
    CHECK(bench.one("other", "good.private") ==
          "65|t: keys do not match\n|t: key loaded from good.private\n"
          "t: checking key 'other._domainkey.a.example'\nt: key not secure\n");
    CHECK(bench.one("revoked") == "69||t: checking key 'revoked._domainkey.a.example'\nt: Revoked key\n");
    CHECK(bench.one("none") == "69||t: checking key 'none._domainkey.a.example'\n"
                               "t: 'none._domainkey.a.example' record not found\n");
    CHECK(bench.one("two") == "69||t: checking key 'two._domainkey.a.example'\n"
                              "t: multiple DNS replies for 'two._domainkey.a.example'\n");
    CHECK(bench.one("broken").starts_with("69||t: checking key 'broken._domainkey.a.example'\n"
                                          "t: 'broken._domainkey.a.example' query failed: "));
    CHECK(bench.one("good", "missing") == "71||t: missing: stat(): No such file or directory\n");
    CHECK(bench.one("good", ".").starts_with("71||t: .: stat(): not a regular file\n"));
    bench.settings.dns_timeout = std::chrono::seconds(0);
    CHECK(bench.one("good") == "69||t: checking key 'good._domainkey.a.example'\n"
                               "t: 'good._domainkey.a.example' query timed out\n");
}

TEST_CASE("Ed25519 keys are compared too") {
    Bench bench;
    CHECK(bench.one("ed", "ed.private").starts_with("0|t: key OK\n|"));
    CHECK(bench.one("ed", "good.private").starts_with("65|t: keys do not match\n|"));
    CHECK(bench.one("good", "ed.private").starts_with("65|t: keys do not match\n|"));
}

TEST_CASE("a key that others can read is warned of") {
    Bench bench;
    fs::permissions(bench.dir.path("good.private"), fs::perms(0644));
    CHECK(bench.one("good", "good.private").find("|t: good.private: WARNING: unsafe permissions\n") !=
          std::string::npos);
}

TEST_CASE("every row of a KeyTable is tested, and one that is wrong does not end it") {
    Bench bench;
    auto const row = [&](std::string const& name, std::string const& value, std::string const& key) {
        return name + " " + value + ":" + bench.dir.path(key) + "\n";
    };
    bench.settings.key_table =
        "file:" + bench.dir.write("KeyTable", row("k1", "a.example:good", "good.private") +
                                                  row("k2", "a.example:other", "good.private") +
                                                  row("k3", "a.example:good", "missing") +
                                                  row("k4", "a.example:none", "good.private") +
                                                  row("k5", "%:good", "good.private") + "k6 nonsense\n" +
                                                  row("k7", "a.example:ed", "ed.private"));
    CHECK(bench.run({}) == "0||t: key k2: keys do not match\nt: missing: stat(): No such file or directory\n"
                           "t: key k4: 'none._domainkey.a.example' record not found\n"
                           "t: key k5: \"%\" stands for many domains: test them with -d, -s and -k\n"
                           "t: key k6: expected domain:selector:key\n");
    CHECK(bench.run({"-v"}).starts_with("0|t: 7 keys checked; 2 pass, 5 fail\n|t: key k1 not secure\n"
                                        "t: key k2: keys do not match\nt: key k2 not secure\n"));
    CHECK(
        bench.run({"-vvv"}).starts_with("0|t: key k1: OK\nt: key k7: OK\nt: 7 keys checked; 2 pass, 5 fail\n|"
                                        "t: record 0 for 'k1' retrieved\nt: checking key 'k1'\n"
                                        "t: key k1 not secure\nt: record 1 for 'k2' retrieved\n"));
}

TEST_CASE("a KeyTable that cannot be walked is a failure") {
    Bench bench;
    bench.settings.key_table = "refile:" + bench.dir.write("KeyTable", "k a.example:good:/k\n");
    CHECK(bench.run({}) == "1||t: invalid data set type\n");
    bench.settings.key_table = "file:/nonexistent";
    CHECK(bench.run({}).starts_with("1||t: "));
}

TEST_CASE("without a domain or selector the usage is shown") {
    Bench bench;
    CHECK(bench.run({"-d", "a.example"}) == "78||" + testkey_usage("t"));
    bench.settings.selector = "good"; // of the settings file
    CHECK(bench.run({"-d", "a.example"}) == "0||");
}
