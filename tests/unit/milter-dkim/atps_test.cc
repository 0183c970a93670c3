// RFC 6541: another domain's signature, and whether the author's domain allows it.
#include "milter-dkim/verify/atps.h"

#include "milter-dkim/sign/signer.h"
#include "tests/unit/milter-dkim/session_world.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using World = SessionWorld;

namespace {

// example.com signs for author.example.
HeaderList third_party(std::string const& hash = "sha256", std::string const& author = "author.example") {
    HeaderList headers{{"From", " a@author.example"}, {"Subject", " x"}};
    SigningOptions options;
    options.atps_domain = author;
    options.atps_hash = hash;
    HeaderChoice const choice{{"from", "subject"}, {}, {}};
    Signer signer({{"example.com", "s", "", *SigningKey::parse(rsa_key(), 1024)}}, options, choice, headers);
    signer.body("hello\r\n");
    headers.insert(headers.begin(), {"DKIM-Signature", " " + (*signer.finish(std::time(nullptr)))[0].value});
    return headers;
}

std::string atps_of(std::string const& edits) {
    auto const at = edits.find("dkim-atps=");
    return at == std::string::npos ? "" : edits.substr(at + 10, edits.find('\n', at) - at - 10);
}

} // namespace

TEST_CASE("the names of RFC 6541 are asked for") {
    // SHA-1 and SHA-256 of "example.com" in base32, as `printf example.com | openssl dgst -binary | base32`
    // has them.
    CHECK(atps_name("example.com", "sha1", "a.example") ==
          "BSVPESVRUDBTIQGANL7JTX4YMNS3A6A7._atps.a.example");
    CHECK(atps_name("example.com", "SHA256", "a.example") ==
          "UN42N5XOV642KXRXRQIYANHCOUPGQL5LT4WTBKYT2IJFLBWODFDQ====._atps.a.example");
    CHECK(atps_name("example.com", "none", "a.example") == "example.com._atps.a.example");
    CHECK(atps_name("example.com", "md5", "a.example").empty());
}

TEST_CASE("an author's domain allows a third party, or does not") {
    for (auto const* hash : {"sha1", "sha256", "none"}) {
        CAPTURE(hash);
        World world;
        auto const headers = third_party(hash);
        CHECK(atps_of(world.send(headers).edits) == "fail");
        auto const name = atps_name("example.com", hash, "author.example");
        world.resolver->zone.txt(name, "v=ATPS1");
        auto const seen = world.send(headers);
        CHECK(atps_of(seen.edits) == "pass");
        CHECK(seen.edits.contains("dkim=pass"));
        world.resolver->zone.remove(name).txt(name, "v=ATPS2");
        CHECK(atps_of(world.send(headers).edits) == "fail");
        world.resolver->zone.fail(name);
        CHECK(atps_of(world.send(headers).edits) == "neutral");
    }
}

TEST_CASE("nothing is asked for a signature that fails, names another author, or is the author's own") {
    World world;
    auto broken = third_party();
    broken[2].second = " changed";
    CHECK(atps_of(world.send(broken).edits) == "neutral");
    CHECK(atps_of(world.send(third_party("sha256", "someone.example")).edits) == "neutral");
    CHECK(atps_of(world.send(third_party("sha512")).edits) == "neutral");
    CHECK(atps_of(world.send(world.signed_message()).edits) == "neutral");
    for (auto const& question : world.resolver->questions()) CHECK_FALSE(question.contains("_atps"));
}
