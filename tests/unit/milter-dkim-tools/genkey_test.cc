// The options of opendkim-genkey in all their spellings, and the files that come out.
#include "milter-dkim/tools/genkey.h"

#include "milter-dkim/sign/keys.h"
#include "milter-dkim/tools/replace_file.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

Result<GenkeyOptions> read(std::vector<char const*> const& words) {
    auto const completed = complete_long_names(words, genkey_options());
    std::vector<char const*> arguments;
    for (auto const& each : completed) arguments.push_back(each.c_str());
    auto const line = daemon::CommandLine::parse(arguments, genkey_options());
    if (!line) return std::unexpected(line.error());
    return read_genkey_options(*line);
}

} // namespace

TEST_CASE("the command of the guides is understood") {
    auto const options =
        read({"-b", "2048", "-h", "rsa-sha256", "-r", "-s", "202611", "-d", "example.com", "-v"});
    REQUIRE(options);
    CHECK(options->selector == "202611");
    CHECK(options->domain == "example.com");
    CHECK(options->verbosity == 1);
    CHECK(options->record.before_key() == "v=DKIM1; h=sha256; k=rsa; s=email; ");
    CHECK(options->warnings ==
          std::vector<std::string>{"h= lists hashes: \"rsa-sha256\" is written as \"sha256\""});
}

TEST_CASE("long names, shortened ones and noes mean the same as letters") {
    auto const options =
        read({"--append-domain", "--bits=1024", "--dom=example.com", "--direct", "/x", "--hash=sha256",
              "--note=n", "--restrict", "--sel=s", "--nosub", "--testmode", "--verbose"});
    REQUIRE(options);
    CHECK(options->append_domain);
    CHECK(options->bits == 1024);
    CHECK(options->directory == "/x");
    CHECK(options->record.before_key() == "v=DKIM1; n=\"n\"; h=sha256; k=rsa; t=y:s; s=email; ");
    auto const none = read({"-a", "--noappend-domain", "--subdomains"});
    REQUIRE(none);
    CHECK_FALSE(none->append_domain);
    CHECK_FALSE(none->record.no_subdomains);
}

TEST_CASE("a shortened name that fits two is refused") {
    auto const options = read({"--no", "x"});
    REQUIRE_FALSE(options);
    CHECK(options.error().text == "unknown option --no");
}

TEST_CASE("a type is an Ed25519 key's too") {
    CHECK(read({"--type", "ed25519"})->record.type == KeyType::ed25519);
    CHECK(read({"--ed25519"})->record.type == KeyType::ed25519);
    CHECK(read({"--type=RSA"})->record.type == KeyType::rsa);
    CHECK_FALSE(read({"--type=dsa"}));
}

TEST_CASE("values that would spoil a zone file or leave the directory are refused") {
    for (auto const* selector : {"../up", "a b", "a;b", ""}) CHECK_FALSE(read({"-s", selector}));
    CHECK_FALSE(read({"-d", "exa\nmple.com"}));
    CHECK_FALSE(read({"-h", "sha256; p="}));
    CHECK_FALSE(read({"-b", "x"}));
}

TEST_CASE("both files are written for their owner only") {
    test::TempDir const dir;
    auto const where = dir.path();
    auto options = read({"-b", "1024", "-D", where.c_str(), "-s", "sel", "-d", "example.com"}).value();
    auto const made = generate_key_files(options);
    REQUIRE(made);
    CHECK(dir.read("sel.txt") == zone_entry(made->record, "sel", "example.com", false));
    CHECK(access_of(dir.path("sel.private"))->mode == 0600);
    CHECK(access_of(dir.path("sel.txt"))->mode == 0600);
    auto const key = milter_dkim::SigningKey::parse(dir.read("sel.private"), 1024);
    REQUIRE(key);
    CHECK((*key)->public_base64() == made->record.public_key);
    CHECK_FALSE(made->record.public_key.empty());
}

TEST_CASE("the hints name what to publish") {
    GenkeyOptions options;
    options.domain = "example.com";
    options.selector = "s";
    KeyRecord record;
    record.public_key = "KEY";
    auto const hints = publishing_hints(options, {"./s.private", "./s.txt", record});
    for (auto const* line :
         {"  s._domainkey.example.com\n  v=DKIM1; h=sha256; k=rsa; p=KEY\n",
          "  example.com.  IN TXT \"v=spf1 mx -all\"\n",
          "  _dmarc.example.com.  IN TXT \"v=DMARC1; p=none; rua=mailto:postmaster@example.com\"\n"})
        CHECK(hints.find(line) != std::string::npos);
}
