// TSIG keys in the ways that administrators keep them, and answers that are not the server's.
#include "milter-dkim/tools/rotate/tsig.h"

#include "common/base/encoding.h"
#include "milter-dkim/tools/rotate/dns_message.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

// "The secret": as the server would sign, with the same code; a real server judges it in the system tests.
TsigKey key() { return parse_tsig_key("hmac-sha256:postern:VGhlIHNlY3JldA==").value(); }

} // namespace

TEST_CASE("a key file of tsig-keygen is read, comments and all") {
    test::TempDir const dir;
    auto const path =
        dir.write("key", "# made today\nkey \"Update.Example.\" {\n\talgorithm HMAC-SHA512; // strong\n"
                         "\tsecret \"VGhlIHNlY3JldA==\";\n};\n");
    auto const read = read_tsig_key(path);
    REQUIRE(read);
    CHECK(read->name == "update.example");
    CHECK(read->algorithm == "hmac-sha512");
    CHECK(read->secret.reveal() == "The secret");
}

TEST_CASE("a key of one line is read") {
    test::TempDir const dir;
    CHECK(read_tsig_key(dir.write("a", "hmac-sha384:k:VGhlIHNlY3JldA==\n"))->algorithm == "hmac-sha384");
    CHECK(read_tsig_key(dir.write("b", "k:VGhlIHNlY3JldA=="))->algorithm == "hmac-sha256");
}

TEST_CASE("what is no key is an error that names the file and never shows the secret") {
    test::TempDir const dir;
    for (auto const* text : {"", "key \"k\" { algorithm hmac-md5; secret \"VGhlIHNlY3JldA==\"; };",
                             "key \"k\" { algorithm hmac-sha256; };", "hmac-sha256:k:not base64", "k:"}) {
        auto const read = read_tsig_key(dir.write("key", text));
        REQUIRE_FALSE(read);
        CHECK(read.error().text.starts_with(dir.path("key")));
        CHECK(read.error().text.find("VGhl") == std::string::npos);
    }
}

TEST_CASE("a signed message carries one more record, with the MAC of RFC 8945") {
    auto const message = sign_tsig(encode_dns_query(0x1234, "a.b", DnsType::txt), key(), 1'700'000'000);
    auto const decoded = decode_dns_message(message.octets);
    REQUIRE(decoded);
    REQUIRE(decoded->additionals.size() == 1);
    auto const& record = decoded->additionals[0];
    CHECK(record.name == "postern");
    CHECK(record.record_class == DnsClass::any);
    // HMAC-SHA256 of the message and the variables, calculated with another implementation.
    CHECK(hex_encode(message.mac) == "057041eafe85694331d9dd52c71cb6831f5f5514a5e10966a70eef15bd7d3cba");
    CHECK(hex_encode(record.data) == "0b686d61632d73686132353600"
                                     "00006553f100"
                                     "012c"
                                     "0020" +
                                         hex_encode(message.mac) +
                                         "1234"
                                         "0000"
                                         "0000");
}

TEST_CASE("an answer that is not signed is refused") {
    auto const done = verify_tsig(encode_dns_query(1, "a.b", DnsType::soa), key(), "mac", 0);
    REQUIRE_FALSE(done);
    CHECK(done.error().text == "the answer is not signed");
}

TEST_CASE("an answer signed without the question's MAC, or long ago, is refused") {
    auto const forged = sign_tsig(encode_dns_query(1, "a.b", DnsType::soa), key(), 1'700'000'000);
    auto const done = verify_tsig(forged.octets, key(), "the question's", 1'700'000'000);
    REQUIRE_FALSE(done);
    CHECK(done.error().text == "the answer's TSIG is wrong");
}
