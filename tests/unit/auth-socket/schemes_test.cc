// Password schemes against what Dovecot made.
#include "auth-socket/schemes/kinds.h"
#include "auth-socket/schemes/scheme.h"
#include "common/base/text.h"
#include "tests/unit/support/catch.h"

#include <cstdlib>
#include <fstream>

using namespace postern;
using namespace postern::auth_socket;

namespace {

struct Vector {
    bool verifies;
    std::string password, user, stored;
};

std::vector<Vector> vectors() {
    std::ifstream file(std::string(std::getenv("POSTERN_SOURCE")) + "/tests/data/auth-socket/schemes.txt");
    std::vector<Vector> all;
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("#")) continue;
        auto const pieces = split(line, '\t');
        REQUIRE(pieces.size() == 4);
        all.push_back(
            {pieces[0] == "yes", std::string(pieces[1]), std::string(pieces[2]), std::string(pieces[3])});
    }
    REQUIRE(all.size() > 40);
    return all;
}

bool verifies(std::string_view stored, std::string_view password, std::string_view default_scheme = "PLAIN") {
    auto const credential = read_stored_password(stored, default_scheme);
    REQUIRE(credential);
    auto const result = verify_password(*credential, {password, "user@example.com"});
    REQUIRE(result);
    return *result;
}

} // namespace

TEST_CASE("every stored password that Dovecot made verifies, and no other password does") {
    for (auto const& [expected, password, user, stored] : vectors()) {
        INFO(stored);
        auto const credential = read_stored_password(stored, "PLAIN");
        REQUIRE(credential);
        auto const right = verify_password(*credential, {password, user});
        REQUIRE(right);
        CHECK(*right == expected);
        for (auto const& wrong : {password + "x", password.substr(1), std::string(), password + '\0'}) {
            if (credential->scheme == "DES-CRYPT" && wrong == password + "x") continue; // eight octets count
            auto const result = verify_password(*credential, {wrong, user});
            REQUIRE(result);
            CHECK_FALSE(*result);
        }
    }
}

TEST_CASE("what a scheme makes verifies, with a new salt each time") {
    for (auto const& scheme : schemes()) {
        INFO(scheme.name);
        PasswordAttempt const attempt{"secret word", "user@example.com"};
        auto const first = make_stored_password(scheme.name, attempt, {});
        REQUIRE(first);
        CHECK(first->starts_with("{" + std::string(scheme.name) + "}"));
        auto const credential = read_stored_password(*first, "PLAIN");
        REQUIRE(credential);
        auto const same = verify_password(*credential, attempt);
        REQUIRE(same);
        CHECK(*same == (scheme.name != "PLAIN-TRUNC"));
        auto const salted = scheme.name.contains("CRYPT") || scheme.name.starts_with("SS") ||
                            scheme.name.starts_with("SCRAM") || scheme.name.starts_with("ARGON");
        if (salted) CHECK(*first != make_stored_password(scheme.name, attempt, {}).value());
    }
}

TEST_CASE("an encoding in the prefix is taken and made") {
    for (auto const* name : {"SHA256.HEX", "SHA256.B64", "SSHA512.hex", "PLAIN.base64", "CRAM-MD5.b64"}) {
        auto const made = make_stored_password(name, {"secret", "u@d"}, {});
        REQUIRE(made);
        CHECK(verifies(*made, "secret"));
    }
}

TEST_CASE("a digest of fixed size is read in hex and in base64 whatever its prefix says") {
    CHECK(verifies("{SHA}aea29aed7d17369c3cf8a3d578d0737ccd297222", "Test-Pa55 word"));
    CHECK(verifies("{PLAIN-MD5}YvvpO5Ood7R0cWE5D0qyCw==", "Test-Pa55 word"));
    CHECK(verifies("YvvpO5Ood7R0cWE5D0qyCw==", "Test-Pa55 word", "plain-md5"));
    CHECK(verifies("62fbe93b93a877b4747161390f4ab20b", "Test-Pa55 word", "MD5"));
}

TEST_CASE("a stored password without a prefix has the default scheme unless it begins with $1$") {
    CHECK(verifies("$1$rq3mB09R$FDnfa0RbiYItU8zTv6Eu0/", "Test-Pa55 word", "PLAIN"));
    CHECK(verifies("$1$rq3mB09R$FDnfa0RbiYItU8zTv6Eu0/$ignored", "Test-Pa55 word", "CRYPT"));
    CHECK(verifies("secret", "secret", "PLAIN"));
    CHECK(verifies("{PLAIN}{x}y", "{x}y"));
}

TEST_CASE("PLAIN-TRUNC compares the length and the beginning") {
    CHECK(verifies("{PLAIN-TRUNC}14-Test-Pa", "Test-Pa55 word"));
    CHECK_FALSE(verifies("{PLAIN-TRUNC}13-Test-Pa", "Test-Pa55 word"));
    CHECK_FALSE(verifies("{PLAIN-TRUNC}14-Tast-Pa", "Test-Pa55 word"));
}

TEST_CASE("an empty crypt hash never matches") {
    CHECK_FALSE(verifies("{CRYPT}", ""));
    CHECK_FALSE(verifies("{CRYPT}", "secret"));
}

TEST_CASE("unknown schemes, unknown encodings and broken values are permanent errors") {
    for (auto const* stored : {"{NTLM}00", "{SHA256.b32}x", "{SHA256}short", "{SHA}zz==", "{CRAM-MD5}00",
                               "{SSHA}not base64", "{MD5.hex}0", "{}x"}) {
        INFO(stored);
        auto const credential = read_stored_password(stored, "PLAIN");
        REQUIRE_FALSE(credential);
        CHECK(credential.error().kind == ErrorKind::permanent);
    }
    for (auto const* stored : {"{SCRAM-SHA-1}4096,a", "{PBKDF2}$1$x$0$00", "{OTP}sha1 x y z",
                               "{ARGON2ID}$argon2id$x", "{SSHA}AAAA", "{CRYPT}*0", "{MD5}zz"}) {
        INFO(stored);
        auto const credential = read_stored_password(stored, "PLAIN");
        REQUIRE(credential);
        auto const result = verify_password(*credential, {"secret", "u@d"});
        REQUIRE_FALSE(result);
        CHECK(result.error().kind == ErrorKind::permanent);
    }
}

TEST_CASE("rounds are taken where the scheme has them") {
    CHECK(make_stored_password("SHA512-CRYPT", {"x", ""}, {.rounds = 1000})
              ->starts_with("{SHA512-CRYPT}$6$rounds=1000$"));
    CHECK(make_stored_password("BLF-CRYPT", {"x", ""}, {.rounds = 4})->starts_with("{BLF-CRYPT}$2y$04$"));
    CHECK(make_stored_password("SCRAM-SHA-256", {"x", ""}, {.rounds = 8192})
              ->starts_with("{SCRAM-SHA-256}8192,"));
    CHECK_FALSE(make_stored_password("BLF-CRYPT", {"x", ""}, {.rounds = 99}));
    CHECK_FALSE(make_stored_password("DIGEST-MD5", {"x", ""}, {}));
}
