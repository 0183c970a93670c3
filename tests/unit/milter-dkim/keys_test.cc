// Private keys and the tables that name them.
#include "milter-dkim/sign/keys.h"

#include "common/base/text.h"
#include "milter-dkim/tables/tables.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;

namespace {

std::string without_armour(std::string const& pem) {
    std::string out;
    std::size_t at = 0;
    while (at < pem.size()) {
        auto const end = pem.find('\n', at);
        if (pem[at] != '-') out += pem.substr(at, end - at);
        at = end + 1;
    }
    return out;
}

std::string describe(SigningTables::Requests const& requests) {
    if (!requests) return "failed: " + requests.error().key;
    std::string out;
    for (auto const& each : *requests)
        out += each.domain + " " + each.selector + " " + std::string(to_string(each.key->algorithm())) +
               (each.identity.empty() ? "" : " i=" + each.identity) + ";";
    return out;
}

struct Tables {
    TempDir dir;
    TestLog log;
    std::vector<config::Problem> problems;
    std::unique_ptr<SigningTables> tables;

    Tables(std::string const& keys, std::string const& senders) {
        auto const path = dir.write("rsa.private", rsa_key());
        chmod(path.c_str(), 0600);
        chmod(dir.write("ed.private", ed25519_key()).c_str(), 0600);
        DataSetOpener const opener;
        auto key_rows = opener.open(replace_all(keys, "DIR", dir.path()), {}, problems);
        auto sender_rows = opener.open(replace_all(senders, "DIR", dir.path()), {}, problems);
        REQUIRE(key_rows);
        REQUIRE(sender_rows);
        tables = std::make_unique<SigningTables>(std::move(*key_rows), std::move(*sender_rows),
                                                 std::make_shared<KeyStore>(KeyPolicy{1024, false, ""}, log));
    }
    std::string ask(std::string_view user, std::string_view domain, bool multiple = false) const {
        return describe(tables->requests_for(user, domain, multiple));
    }
};

} // namespace

TEST_CASE("keys are read as PEM and as base64 DER, RSA and Ed25519") {
    for (auto const& pem : {rsa_key(), ed25519_key()})
        for (auto const& text : {pem, without_armour(pem)}) {
            auto const key = SigningKey::parse(text, 1024);
            REQUIRE(key);
            CHECK((*key)->algorithm() ==
                  (pem == rsa_key() ? Algorithm::rsa_sha256 : Algorithm::ed25519_sha256));
            CHECK((*key)->bits() == (pem == rsa_key() ? 1024U : 256U));
            CHECK_FALSE((*key)->public_base64().empty());
        }
}

TEST_CASE("a key that cannot sign is refused with the reason") {
    auto const small = SigningKey::parse(make_rsa_key(768), 1024);
    REQUIRE_FALSE(small);
    CHECK(small.error().text == "the RSA key has 768 bits, fewer than MinimumKeyBits 1024");
    for (auto const* text :
         {"", "rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "AAAA"}) {
        auto const key = SigningKey::parse(text, 1024);
        REQUIRE_FALSE(key);
        CHECK(key.error().text.starts_with("not a private key in PEM or base64 DER"));
    }
}

TEST_CASE("an unsafe key names the place at fault and the command that mends it") {
    TempDir dir;
    auto const path = dir.write("keys/k.private", rsa_key());
    chmod(path.c_str(), 0600);
    chmod(dir.path("keys").c_str(), 0755);
    CHECK(unsafe_reason(path, "").empty());
    chmod(path.c_str(), 0644);
    CHECK(unsafe_reason(path, "") ==
          "the key file " + path + " can be read or written by others; run: chmod o-rwx " + path);
    chmod(path.c_str(), 0600);
    chmod(dir.path("keys").c_str(), 0777);
    auto const fault =
        "the directory " + dir.path("keys") + " can be written by others; run: chmod o-w " + dir.path("keys");
    CHECK(unsafe_reason(path, "") == fault);
    std::string warning;
    auto const refused = load_key(path, {1024, true, ""}, warning);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().text == "key data is not secure: " + fault);
    CHECK(load_key(path, {1024, false, ""}, warning));
    CHECK(warning == "key data is not secure: " + fault);
}

TEST_CASE("keys in one unsafe directory are one line in the log, and the oldest of them is known") {
    TempDir dir;
    TestLog log;
    KeyStore const store({1024, false, ""}, log);
    CHECK(store.oldest_change() == 0);
    for (auto const* name : {"keys/a", "keys/b", "keys/c"}) {
        auto const path = dir.write(name, rsa_key());
        chmod(path.c_str(), 0600);
        std::int64_t const changed = name == std::string_view("keys/b") ? 1700000000 : 1700000100;
        timespec const times[] = {{changed, 0}, {changed, 0}};
        utimensat(AT_FDCWD, path.c_str(), times, 0);
    }
    chmod(dir.path("keys").c_str(), 0777);
    for (auto const* name : {"keys/a", "keys/b", "keys/c"}) CHECK(store.get_file(dir.path(name)));
    CHECK(log.lines().size() == 1);
    CHECK(log.expect("the directory " + dir.path("keys") + " can be written by others; run: chmod o-w "));
    CHECK(store.oldest_change() == 1700000000);
}

TEST_CASE("a key file is read by its path from the working directory, however that is written") {
    TempDir dir;
    TestLog log;
    for (auto const* name : {"k", "keys/k"}) chmod(dir.write(name, rsa_key()).c_str(), 0600);
    auto const before = std::filesystem::current_path();
    std::filesystem::current_path(dir.path("keys"));
    KeyStore const store({1024, false, ""}, log);
    for (auto const* path : {"k", "./k", "../k", "../keys/k"}) {
        INFO(path);
        CHECK(store.get_file(path));
    }
    std::filesystem::current_path(dir.path("."));
    CHECK(store.get_file("keys/k"));
    std::filesystem::current_path(before);
}

TEST_CASE("a KeyTable of many keys in one unsafe directory is one warning with their number") {
    TempDir dir;
    TestLog log;
    std::string rows;
    for (auto const* name : {"a", "b", "c"}) {
        chmod(dir.write(std::string("keys/") + name, rsa_key()).c_str(), name[0] == 'c' ? 0644 : 0600);
        rows += std::string(name) + " example.com:" + name + ":" + dir.path("keys/") + name + "\n";
    }
    auto const keys = dir.path("keys");
    chmod(keys.c_str(), 0777);
    auto const table = dir.write("KeyTable", rows + "d example.com:d:" + keys + "/a\ne example.com\n");
    auto const warnings = [&](std::string_view more) {
        return configure("KeyTable file:" + table + "\nSigningTable csl:*=a\n" + std::string(more), log)
            .problems;
    };
    CHECK(warnings("") ==
          table + ":1: warning: key \"a\" and 2 more: key data is not secure: the directory " + keys +
              " can be written by others; run: chmod o-w " + keys +
              "; their senders get a temporary failure\n" + table +
              ":3: warning: key \"c\": key data is not secure: the key file " + keys +
              "/c can be read or written by others; run: chmod o-rwx " + keys +
              "/c; its senders get a temporary failure\n" + table +
              ":5: warning: key \"e\": expected domain:selector:key; its senders get a temporary failure\n");
    CHECK(warnings("RequireSafeKeys no\n").find("secure") == std::string::npos);
    CHECK(log.lines().size() == 2);
    CHECK(log.expect("run: chmod o-w " + keys));
    CHECK(log.expect("run: chmod o-rwx " + keys + "/c"));
}

TEST_CASE("a table without patterns is asked from the whole address to the star") {
    std::string const keys = "csl:k=example.com:s:DIR/rsa.private,l=%:t:DIR/rsa.private";
    Tables const tables(keys, "csl:a@example.com=k,b@*=l,.example.org=l:@%,c@.example.net=k,d.example=k");
    CHECK(tables.ask("A", "Example.COM") == "example.com s rsa-sha256;");
    CHECK(tables.ask("b", "any.example") == "any.example t rsa-sha256;");
    CHECK(tables.ask("x", "sub.example.org") == "sub.example.org t rsa-sha256 i=@sub.example.org;");
    CHECK(tables.ask("c", "x.example.net") == "example.com s rsa-sha256;");
    CHECK(tables.ask("x", "d.example") == "example.com s rsa-sha256;");
    CHECK(tables.ask("x", "elsewhere.example").empty());
    Tables const star(keys, "csl:*=l,example.com=k");
    CHECK(star.ask("x", "example.com", true) == "example.com s rsa-sha256;example.com t rsa-sha256;");
}

TEST_CASE("an identity that would spoil the signature is left out") {
    std::string const keys = "csl:k=example.com:s:DIR/rsa.private,o=%:s:DIR/rsa.private";
    auto const identity = [&](std::string const& value, std::string const& sender = "example.com") {
        Tables const tables(keys, "csl:*=" + value);
        auto const asked = tables.ask("x", sender);
        auto const at = asked.find(" i=");
        return at == std::string::npos ? "" : asked.substr(at + 3, asked.size() - at - 4);
    };
    CHECK(identity("k:me@example.com") == "me@example.com");
    CHECK(identity("k:Me@Sub.Example.COM") == "Me@Sub.Example.COM");
    CHECK(identity("k:@%", "a.example.com") == "@a.example.com");
    for (auto const* value : {"k:%", "k:me@other.example", "k:me@notexample.com", "k:me@com",
                              "k:a b@example.com", "k:a;b@example.com", "k:@"}) {
        INFO(value);
        CHECK(identity(value).empty());
    }
    CHECK(identity("k:" + std::string(243, 'x') + "@example.com").size() == 255);
    CHECK(identity("k:" + std::string(244, 'x') + "@example.com").empty());
    CHECK(identity("o:me@example.com", "a.example.com").empty());
    TestLog log;
    TempDir files;
    auto const warnings = [&](std::string const& value) {
        return configure("KeyTable csl:k=example.com:s:" + without_armour(rsa_key()) +
                             "\nSigningTable csl:*=" + value + "\nRequireSafeKeys no\n",
                         log)
            .problems;
    };
    CHECK(warnings("k:me@example.com").empty());
    CHECK(warnings("k:%").contains("the identity \"%\" has no @; signatures have no i= for it"));
    CHECK(warnings("k:a@x.example")
              .contains("the identity \"a@x.example\" is not an address of example.com; signatures have no "
                        "i= for it"));
    CHECK(warnings("none:a@x.example").contains("unknown key \"none\""));
}

TEST_CASE("one row may name several keys, and the algorithm is each key's own") {
    TempDir files;
    Tables const tables("csl:r=example.com:rsa:DIR/rsa.private,e=example.com:ed:DIR/ed.private",
                        "refile:" + files.write("s", "*@example.com r,e\n*@* r\n"));
    CHECK(tables.ask("x", "example.com") == "example.com rsa rsa-sha256;example.com ed ed25519-sha256;");
    CHECK(tables.ask("x", "example.com", true) ==
          "example.com rsa rsa-sha256;example.com ed ed25519-sha256;example.com rsa rsa-sha256;");
}

TEST_CASE("a sender whose key is unknown or broken fails, and never gets fewer signatures") {
    Tables tables(
        "csl:good=example.com:s:DIR/rsa.private,bad=example.com:s:DIR/none.private,row=only",
        "csl:a@example.com=good,b@example.com=bad,c@example.com=missing,d@example.com=row,e@example.com=");
    CHECK(tables.ask("a", "example.com") == "example.com s rsa-sha256;");
    CHECK(tables.ask("b", "example.com") == "failed: bad");
    CHECK(tables.ask("c", "example.com") == "failed: missing");
    CHECK(tables.ask("d", "example.com") == "failed: row");
    CHECK(tables.ask("e", "example.com") == "failed: ");
    std::vector<config::Problem> problems;
    tables.tables->check(problems);
    CHECK(problems.size() == 4);
    CHECK_FALSE(config::has_errors(problems));
}

TEST_CASE("a sender's domain never leads out of the key directory") {
    Tables const tables("csl:k=%:s:DIR/%.private", "csl:*=k");
    CHECK(tables.ask("x", "../../etc/passwd") == "failed: k");
    CHECK(tables.ask("x", "a/b") == "failed: k");
    CHECK(tables.ask("x", "rsa") == "rsa s rsa-sha256;");
}
