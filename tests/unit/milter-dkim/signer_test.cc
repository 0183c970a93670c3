// Our signer against libopendkim's: the same message, key and time must give the same octets.
#include "milter-dkim/sign/signer.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "tests/unit/milter-dkim/oracle.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"

#include <random>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;

namespace {

constexpr std::int64_t now = 1700000000;
constexpr CanonicalForm forms[] = {CanonicalForm::simple, CanonicalForm::relaxed};

std::shared_ptr<SigningKey const> key_of(std::string const& pem) { return *SigningKey::parse(pem, 1024); }

std::string ours(OracleSettings const& settings, std::string const& pem, HeaderList const& headers,
                 std::string_view body, std::size_t piece = std::string_view::npos) {
    HeaderChoice const choice{settings.sign, settings.omit, settings.oversign};
    SigningOptions options;
    options.canonicalization = settings.canonicalization;
    options.ttl = settings.ttl;
    options.copies_headers = settings.copies_headers;
    options.tells_length = settings.tells_length;
    if (settings.limit >= 0) options.body_limit = static_cast<std::uint64_t>(settings.limit);
    Signer signer({{settings.domain, settings.selector, settings.identity, key_of(pem)}}, options, choice,
                  headers);
    while (!body.empty()) {
        signer.body(body.substr(0, piece));
        body.remove_prefix(std::min(piece, body.size()));
    }
    auto const made = signer.finish(now);
    REQUIRE(made);
    return (*made)[0].value;
}

// libopendkim signs Ed25519 with simple headers over a fold that it then does not write, so that its
// signature verifies nowhere; there everything but the signature itself is compared.
std::string comparable(OracleSettings const& settings, std::string const& pem, std::string const& value) {
    bool const broken = pem == ed25519_key() && settings.canonicalization.header == CanonicalForm::simple;
    return broken ? value.substr(0, value.rfind("b=")) : value;
}

void compare(OracleSettings const& settings, std::string const& pem, HeaderList const& headers,
             std::string const& body) {
    INFO("body: " << printable(body, 2000));
    auto const expected = comparable(settings, pem, oracle_signature(settings, pem, headers, body, now));
    CHECK(comparable(settings, pem, ours(settings, pem, headers, body)) == expected);
    CHECK(comparable(settings, pem, ours(settings, pem, headers, body, 1)) == expected);
}

HeaderList const plain{{"Received", " from a\n\tby b"},
                       {"From", "  Alice   <alice@example.com>\t"},
                       {"TO", " bob@example.net,\n  carol@example.net"},
                       {"Subject", ""},
                       {"Date", " Sat, 21 Nov 2026 09:00:00 +0000"},
                       {"Subject", " twice\n \n\tfolded  "},
                       {"X-Other", " x"},
                       {"List-Id", "<x.example.com>"}};

} // namespace

TEST_CASE("signatures equal libopendkim's in all canonicalizations, for RSA and Ed25519") {
    for (auto const& pem : {rsa_key(), ed25519_key()})
        for (auto const header : forms)
            for (auto const body : forms) {
                OracleSettings settings;
                settings.canonicalization = {header, body};
                for (auto const* text :
                     {"", "\r\n", "\r\n\r\n", "hello", "hello\r\n", "hello\r\n\r\n\r\n", " \t\r\n",
                      "a \t b\t\r\n \r\n\r\nc", "\r\n\r\na\r\n", "  a\r\n\tb  c\r\n"})
                    compare(settings, pem, plain, text);
            }
}

TEST_CASE("options change the signature exactly as in libopendkim") {
    OracleSettings settings;
    settings.canonicalization = {CanonicalForm::relaxed, CanonicalForm::simple};
    SECTION("oversigned, also absent fields") { settings.oversign = {"From", "Subject", "Reply-To"}; }
    SECTION("other sign list") { settings.sign = {"from", "x-*", "to"}; }
    SECTION("omitted fields") { settings.omit = {"subject", "t*"}; }
    SECTION("expiry and identity") {
        settings.ttl = 3600;
        settings.identity = "@sub.example.com";
    }
    SECTION("length") { settings.tells_length = true; }
    SECTION("limited length") { settings.limit = 5; }
    SECTION("limit over the body's length") { settings.limit = 5000; }
    SECTION("zero length") { settings.limit = 0; }
    SECTION("copied header") { settings.copies_headers = true; }
    SECTION("long names fold") {
        settings.domain = "a-rather-long-domain-name-that-needs-folding.subdomain.example.com";
        settings.selector = "selector-with-a-long-name-2026-11-21";
        settings.identity = "somebody-with-a-long-local-part@" + settings.domain;
    }
    for (auto const& pem : {rsa_key(), ed25519_key()})
        compare(settings, pem, plain, "some text\r\nand more\r\n");
}

TEST_CASE("generated messages give libopendkim's signatures") {
    std::mt19937 random(20261121);
    auto const pick = [&](std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(random);
    };
    std::string_view const octets[] = {
        "a", "b", " ", "\t", "\r\n", "\r\n", ".", "=", ";", "\xc3\xa4", "longer text here"};
    std::string_view const names[] = {"From", "Subject",    "to",       "Cc",         "Received",
                                      "X-A",  "References", "Reply-To", "resent-from"};
    std::string_view const pieces[] = {"x", " ",           "\t", "\n ", "\n\t", "word", "<a@b.example>",
                                       ",", "\xe2\x82\xac"};
    for (int round = 0; round < 400; ++round) {
        HeaderList headers{{"From", " a@example.com"}};
        for (auto count = pick(9); count > 0; --count) {
            std::string value;
            for (auto length = pick(12); length > 0; --length) value += pieces[pick(std::size(pieces))];
            headers.emplace_back(names[pick(std::size(names))], value);
        }
        std::string body;
        for (auto length = pick(40); length > 0; --length) body += octets[pick(std::size(octets))];
        OracleSettings settings;
        settings.canonicalization = {forms[pick(2)], forms[pick(2)]};
        settings.oversign = pick(2) == 0 ? std::vector<std::string>{} : std::vector<std::string>{"From"};
        INFO("round " << round << ", body " << printable(body, 2000));
        auto const& pem = round % 4 == 0 ? ed25519_key() : rsa_key();
        auto const expected = comparable(settings, pem, oracle_signature(settings, pem, headers, body, now));
        CHECK(comparable(settings, pem, ours(settings, pem, headers, body, 1 + pick(7))) == expected);
    }
}

TEST_CASE("From is signed whatever the lists say") {
    HeaderChoice const choice{{"subject"}, {"from"}, {}};
    Signer signer({{"example.com", "s", "", key_of(rsa_key())}}, {}, choice, plain);
    auto const made = signer.finish(now);
    REQUIRE(made);
    CHECK((*made)[0].value.contains("h=From:Subject:Subject;"));
}

TEST_CASE("several signatures come from one pass, each with its own key's algorithm") {
    HeaderChoice const choice{{"from"}, {}, {}};
    Signer signer(
        {{"example.com", "r", "", key_of(rsa_key())}, {"example.com", "e", "", key_of(ed25519_key())}}, {},
        choice, plain);
    signer.body("x\r\n");
    auto const made = signer.finish(now);
    REQUIRE(made);
    REQUIRE(made->size() == 2);
    CHECK((*made)[0].value.starts_with("v=1; a=rsa-sha256; c=simple/simple; d=example.com; s=r;"));
    CHECK((*made)[1].value.starts_with("v=1; a=ed25519-sha256; c=simple/simple; d=example.com;"));
    CHECK((*made)[1].request->selector == "e");
}

TEST_CASE("the body hash counts what it hashed, and takes lone line ends when asked") {
    BodyHash limited(CanonicalForm::simple, 3);
    limited.add("hello\r\n");
    CHECK(limited.finish() == sha256("hel"));
    CHECK(limited.hashed() == 3);
    CHECK(limited.canonical_length() == 7);
    BodyHash fixing(CanonicalForm::relaxed, BodyHash::whole, true);
    for (char const c : std::string("a\nb\rc\r\n\n\r")) fixing.add(std::string_view(&c, 1));
    CHECK(fixing.finish() == sha256("a\r\nb\r\nc\r\n"));
    BodyHash lone(CanonicalForm::relaxed);
    lone.add("a\nb \rc");
    CHECK(lone.finish() == sha256("a\nb \rc\r\n"));
    BodyHash large(CanonicalForm::simple, 20000);
    large.add(std::string(100000, 'x'));
    CHECK(large.finish() == sha256(std::string(20000, 'x')));
}
