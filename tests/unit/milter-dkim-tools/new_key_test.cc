// Keys: what is made, milter-dkim reads, with the public part that RFC 6376 and RFC 8463 want.
#include "milter-dkim/tools/new_key.h"

#include "common/base/encoding.h"
#include "milter-dkim/sign/keys.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::milter_dkim::tools;

TEST_CASE("a new RSA key has the size that was asked for, and a SubjectPublicKeyInfo") {
    auto const pem = new_private_key(KeyType::rsa, 1024);
    REQUIRE(pem);
    CHECK(pem->reveal().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    auto const key = SigningKey::parse(pem->reveal(), 1024);
    REQUIRE(key);
    CHECK((*key)->algorithm() == Algorithm::rsa_sha256);
    CHECK((*key)->bits() == 1024);
    CHECK((*key)->public_base64().starts_with("MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQ"));
}

TEST_CASE("a new Ed25519 key has a public part of 32 octets") {
    auto const pem = new_private_key(KeyType::ed25519, 0);
    REQUIRE(pem);
    auto const key = SigningKey::parse(pem->reveal(), 1024);
    REQUIRE(key);
    CHECK((*key)->algorithm() == Algorithm::ed25519_sha256);
    CHECK(base64_decode((*key)->public_base64())->size() == 32);
}

TEST_CASE("sizes beyond the limits are refused") {
    CHECK(new_private_key(KeyType::rsa, smallest_rsa_bits));
    CHECK_FALSE(new_private_key(KeyType::rsa, smallest_rsa_bits - 1));
    CHECK_FALSE(new_private_key(KeyType::rsa, largest_rsa_bits + 1));
}
