// Key records in the wild, with libopendkim's words for what is wrong with them.
#include "milter-dkim/tools/published_key.h"

#include "milter-dkim/sign/keys.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::milter_dkim::tools;

namespace {

// The key, or the error.
std::string read(std::string_view record) {
    auto const key = parse_published_key(record);
    return key ? std::string(to_string(key->type)) + " " + key->base64 : key.error().text;
}

} // namespace

TEST_CASE("good records in every spelling") {
    for (auto const* record :
         {"v=DKIM1; k=rsa; p=AAAA", "p=AAAA", "v = DKIM1 ; p = A A\tA A", "k=RSA; p=AAAA; v=DKIM1",
          "v=DKIM1; p=AAAA;", "v=DKIM1; s=foo:email; p=AAAA", "v=DKIM1; s=*; p=AAAA; p=BBBB",
          "v=DKIM1; g=; p=AAAA", "v=DKIM1; a-b=1; 1x=2; p=AAAA", "h=md5:sha256; p=AAAA"})
        CHECK(read(record) == "rsa AAAA");
    CHECK(read("v=DKIM1; k=ed25519; p=AAAA") == "ed25519 AAAA");
    CHECK(parse_published_key("t=y:s; p=AAAA")->test_mode);
    CHECK_FALSE(parse_published_key("t=s; p=AAAA")->test_mode);
}

TEST_CASE("mistakes are told as OpenDKIM told them") {
    CHECK(read("") == "empty key record");
    CHECK(read("v=DKIM1; k=rsa") == "key missing");
    CHECK(read("v=DKIM1; p=") == "Revoked key");
    CHECK(read("v=DKIM2; p=AAAA") == "invalid key version 'DKIM2'");
    CHECK(read("v=spf1 -all") == "invalid key version 'spf1-all'");
    CHECK(read("v=DKIM1; k=dsa; p=AAAA") == "unknown key type 'dsa'");
    CHECK(read("v=DKIM1; h=md5; p=AAAA") == "unknown hash 'md5'");
    CHECK(read("v=DKIM1; s=tlsrpt; p=AAAA") == "key type mismatch");
    CHECK(read("v=DKIM1; p") == "tag without value at end of key data");
    CHECK(read("hello world") == "syntax error in key data (ASCII 0x77 at offset 6)");
    CHECK(read("v=DKIM1;; p=AAAA") == "syntax error in key data (ASCII 0x3b at offset 8)");
    CHECK(read("v=DKIM1; =x; p=AAAA") == "syntax error in key data (ASCII 0x3d at offset 9)");
    CHECK(read("v=DKIM1; n=a\001b; p=AAAA") == "invalid character (ASCII 0x01 at offset 12) in key data");
    CHECK(read("v=DKIM1; n=a\310b; p=AAAA") == "invalid character (ASCII 0xc8 at offset 12) in key data");
}

TEST_CASE("p= has a size when it is a key of its type, and an error when not") {
    auto const rsa = SigningKey::parse(test::rsa_key(), 1024).value()->public_base64();
    auto const ed25519 = SigningKey::parse(test::ed25519_key(), 1024).value()->public_base64();
    CHECK(published_bits({KeyType::rsa, rsa, false}).value() == 1024);
    CHECK(published_bits({KeyType::ed25519, ed25519, false}).value() == 256);
    CHECK(published_bits({KeyType::rsa, ed25519, false}).error().text == "p= holds no RSA public key");
    CHECK(published_bits({KeyType::ed25519, rsa, false}).error().text == "p= holds no Ed25519 public key");
    CHECK(published_bits({KeyType::rsa, "A!A", false}).error().text == "p= is no base64");
}
