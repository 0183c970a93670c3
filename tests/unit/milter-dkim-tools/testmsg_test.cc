// Messages signed and verified by milter-dkim-testmsg.
#include "milter-dkim/tools/testmsg.h"

#include "common/base/text.h"
#include "milter-dkim/sign/keys.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::milter_dkim::tools;

namespace {

constexpr std::string_view message =
    "From: a@a.example\nSubject: x\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n\nhello\n";

struct Bench {
    explicit Bench(std::string const& pem = test::rsa_key(), std::string const& tags = "") {
        resolver.zone.txt("s._domainkey.a.example",
                          "v=DKIM1; " + tags + "p=" + SigningKey::parse(pem, 1024).value()->public_base64());
        options = {"m", false, "a.example", "s", dir.write("key", pem), 1'700'000'000};
    }
    std::string signed_message(std::string_view text = message) const {
        return sign_message(options, text).out;
    }
    std::string verify(std::string_view text) {
        auto const outcome = verify_message(options, text, resolver);
        return std::to_string(outcome.code) + "|" + outcome.out + "|" + outcome.err;
    }

    test::TempDir dir;
    test::FakeResolver resolver;
    TestmsgOptions options;
};

} // namespace

TEST_CASE("a signed message is the signature and the message, and verifies without a word") {
    for (bool const ed25519 : {false, true}) {
        Bench bench(ed25519 ? test::ed25519_key() : test::rsa_key(), ed25519 ? "k=ed25519; " : "");
        auto const text = bench.signed_message();
        CHECK(text.starts_with("DKIM-Signature: v=1; a=" + std::string(ed25519 ? "ed25519" : "rsa") +
                               "-sha256; c=relaxed/simple; d=a.example; s=s;\n\tt=1700000000; bh="));
        CHECK(text.ends_with("\n" + std::string(message)));
        CHECK(bench.verify(text) == "0||");
        CHECK(bench.verify(replace_all(text, "\n", "\r\n")) == "0||");
    }
}

TEST_CASE("the lines of the signature end with CRLF when asked, and those of the message as they came") {
    Bench bench;
    bench.options.keeps_crlf = true;
    auto const crlf = replace_all(message, "\n", "\r\n");
    auto const text = bench.signed_message(crlf);
    CHECK(replace_all(replace_all(text, "\r\n", "\n"), "\n", "\r\n") == text);
    CHECK(text.ends_with(crlf));
    CHECK(bench.verify(text) == "0||");
}

TEST_CASE("what is no good signature is told in libopendkim's words") {
    Bench bench;
    auto const text = bench.signed_message();
    CHECK(bench.verify(replace_all(text, "hello", "hallo"))
              .starts_with("70||m: verifying: Bad signature; s=s d=a.example fail: "));
    CHECK(bench.verify(message) == "70||m: verifying: No signature\n");
    CHECK(bench.verify("Subject: x\n\nhello\n") == "70||m: Syntax error: no From field\n");
    CHECK(bench.verify("").starts_with("70||m: Syntax error: "));
    bench.resolver.zone.fail("s._domainkey.a.example");
    CHECK(
        bench.verify(text).starts_with("70||m: verifying: Key retrieval failed; s=s d=a.example temperror"));
    bench.resolver.zone = test::Zone();
    CHECK(bench.verify(text) == "70||m: verifying: No key; s=s d=a.example fail: key not found in DNS\n");
}

TEST_CASE("what cannot be signed is told") {
    Bench bench;
    CHECK(sign_message(bench.options, "Subject: x\n\n").err == "m: Syntax error: no From field\n");
    bench.options.key_path = "/nonexistent";
    CHECK(sign_message(bench.options, message).code == 71);
    CHECK(sign_message(bench.options, message).err == "m: /nonexistent: No such file or directory\n");
    bench.options.key_path = bench.dir.write("junk", "no key");
    CHECK(sign_message(bench.options, message).code == 70);
}
