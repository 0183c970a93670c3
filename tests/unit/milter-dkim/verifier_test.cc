// Verification, with each defect of libopendkim 2.11 as a case (rows of its list), and the library as a
// judge.
#include "milter-dkim/verify/verifier.h"

#include "common/base/text.h"
#include "milter-dkim/sign/signer.h"
#include "tests/unit/milter-dkim/oracle.h"
#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"

#include <ctime>
#include <random>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using Outcome = Verifier::Outcome;

namespace {

struct World {
    TestLog log;
    FakeResolver resolver;
    Made made;
    std::int64_t now = std::time(nullptr);
    std::map<std::string, std::string> records;

    explicit World(std::string_view settings = "Mode v") : made(configure(settings, log)) {
        publish("rsa", rsa_key(), "k=rsa");
        publish("ed", ed25519_key(), "k=ed25519");
    }
    void publish(std::string const& selector, std::string const& pem, std::string const& type) {
        auto const key = *SigningKey::parse(pem, 512);
        auto const name = selector + "._domainkey.example.com";
        records[name] = "v=DKIM1; " + type + "; p=" + key->public_base64();
        resolver.zone.txt(name, records[name]);
    }
    std::string sign(HeaderList const& headers, std::string_view body, std::string const& selector = "rsa",
                     SigningOptions options = {}) const {
        HeaderChoice const choice{{"from", "subject"}, {}, {"from"}};
        auto const key = *SigningKey::parse(selector == "ed" ? ed25519_key() : rsa_key(), 1024);
        Signer signer({{"example.com", selector, "", key}}, options, choice, headers);
        signer.body(body);
        return (*signer.finish(now))[0].value;
    }
    struct Report {
        std::string text;
        Outcome outcome;
        std::string trouble;
        bool test_key;
    };
    Report verify(HeaderList const& headers, std::string_view body,
                  std::size_t piece = std::string_view::npos) {
        Verifier verifier(*made.configuration, resolver, headers, "example.com", now);
        while (!body.empty() && verifier.body(body.substr(0, piece)))
            body.remove_prefix(std::min(piece, body.size()));
        Report report;
        for (auto const& each : verifier.finish())
            report.text += std::string(to_string(each.kind)) +
                           (each.reason.empty() ? "" : " (" + each.reason + ")") + ";";
        report.outcome = verifier.outcome();
        report.trouble = verifier.trouble();
        report.test_key = verifier.test_key();
        return report;
    }
};

HeaderList const plain{{"From", " a@example.com"}, {"Subject", " x"}};
std::string const text = "hello\r\nworld\r\n";

HeaderList with(std::string const& signature, HeaderList headers = plain) {
    headers.insert(headers.begin(), {"DKIM-Signature", " " + signature});
    return headers;
}

std::string changed(std::string const& signature, std::string_view from, std::string_view to) {
    REQUIRE(signature.contains(from));
    return replace_all(signature, from, to);
}

} // namespace

TEST_CASE("our signatures verify in all canonicalizations, RSA and Ed25519, in any pieces") {
    World world;
    for (auto const* selector : {"rsa", "ed"})
        for (auto const header : {CanonicalForm::simple, CanonicalForm::relaxed})
            for (auto const body : {CanonicalForm::simple, CanonicalForm::relaxed}) {
                SigningOptions options;
                options.canonicalization = {header, body};
                auto const signed_headers = with(world.sign(plain, text, selector, options));
                for (std::size_t const piece : {std::size_t{1}, std::size_t{7}, text.size()}) {
                    auto const report = world.verify(signed_headers, text, piece);
                    CHECK(report.text == "pass;");
                    CHECK(report.outcome == Outcome::good);
                }
            }
}

TEST_CASE("a changed body, header or signature fails") {
    World world;
    auto const signature = world.sign(plain, text);
    CHECK(world.verify(with(signature), "hello\r\nworlD\r\n").text ==
          "fail (signature verification failed);");
    CHECK(world.verify(with(signature, {{"From", " a@example.com"}, {"Subject", " y"}}), text).text ==
          "fail (signature verification failed);");
    CHECK(world.verify(with(signature), "hello\r\nworlD\r\n").outcome == Outcome::bad_signature);
    CHECK(world.verify(plain, text).outcome == Outcome::no_signature);
    CHECK(world.verify(plain, text).text.empty());
}

TEST_CASE("a DNS that does not answer is temporary, a missing key is not") {
    World world;
    auto const headers = with(world.sign(plain, text));
    world.resolver.zone.fail("rsa._domainkey.example.com");
    auto const failed = world.verify(headers, text);
    CHECK(failed.text == "temperror;");
    CHECK(failed.outcome == Outcome::dns_error);
    CHECK_FALSE(failed.trouble.empty());
    world.resolver.zone = Zone();
    auto const missing = world.verify(headers, text);
    CHECK(missing.text == "fail (key not found in DNS);");
    CHECK(missing.outcome == Outcome::key_not_found);
}

TEST_CASE("one signature that passes is enough, and one without answer leaves the question open") {
    World world;
    auto const good = world.sign(plain, text);
    auto const lost = changed(good, "s=rsa;", "s=lost;");
    world.resolver.zone.fail("lost._domainkey.example.com");
    auto headers = with(lost, with(good));
    CHECK(world.verify(headers, text).text == "temperror;pass;");
    CHECK(world.verify(headers, text).outcome == Outcome::good);
    CHECK(world.verify(headers, "other\r\n").outcome == Outcome::dns_error);
}

TEST_CASE("z= of any size does not reach a fixed buffer") { // row 1
    World world;
    SigningOptions options;
    options.copies_headers = true;
    HeaderList headers{{"From", " a@example.com"}, {"Subject", " " + std::string(20000, '=')}};
    auto const signature = world.sign(headers, text, "rsa", options);
    CHECK(world.verify(with(signature, headers), text).text == "permerror;");
    options.copies_headers = true;
    headers[1].second = " " + std::string(5000, '=');
    CHECK(world.verify(with(world.sign(headers, text, "rsa", options), headers), text).text == "pass;");
}

TEST_CASE("a field name as long as the library's buffer is kept from it") { // row 2
    World world;
    for (std::size_t const size : {998U, 999U, 4096U, 4097U, 50000U}) {
        auto headers = with(world.sign(plain, text));
        headers.emplace_back(std::string(size, 'N'), " v");
        CHECK(world.verify(headers, text).text == "pass;");
    }
}

TEST_CASE("NUL, lone CR and lone LF in fields and bodies harm nobody") { // row 3
    World world;
    auto headers = with(world.sign(plain, text));
    headers.emplace_back("X-Odd", std::string(" a\0b\rc", 6));
    CHECK(world.verify(headers, text).text == "pass;");
    CHECK(world.verify(with(std::string("v=1; a=\0", 8)), text).text == "permerror;");
    // libopendkim takes the last two for line ends, which RFC 6376 does not; an MTA sends neither.
    for (auto const& odd : {std::string("a\0b\r\n", 5), std::string("a\rb\r\n"), std::string("a\nb\r\n"),
                            std::string("\r\r\n")}) {
        INFO(printable(odd));
        CHECK(world.verify(with(world.sign(plain, odd)), odd).text == "pass;");
    }
}

TEST_CASE("large and many fields are verified or refused, never lost") { // row 4
    World world;
    HeaderList headers = plain;
    headers[1].second = " " + std::string(200000, 'x');
    for (int i = 0; i < 3000; ++i) headers.emplace_back("X-Many", " y");
    CHECK(world.verify(with(world.sign(headers, text), headers), text).text == "pass;");
    CHECK(world.verify(with(std::string(max_signature_field + 1, 'a')), text).text == "permerror;");
}

TEST_CASE("a signature over a part of the body is no pass") { // rows 5 and 6
    World world;
    SigningOptions options;
    options.body_limit = 5;
    auto const headers = with(world.sign(plain, text, "rsa", options));
    CHECK(world.verify(headers, text).text == "policy (signature does not cover the whole body);");
    CHECK(world.verify(headers, text).outcome == Outcome::bad_signature);
    options.body_limit = BodyHash::whole;
    options.tells_length = true;
    auto const whole = with(world.sign(plain, text, "rsa", options));
    CHECK(world.verify(whole, text).text == "pass;");
    CHECK(world.verify(whole, text + "appended\r\n").text ==
          "policy (signature does not cover the whole body);");
    CHECK(world.verify(whole, "hello\r\n").text.starts_with("fail"));
}

TEST_CASE("a body without a last line end verifies as if it had one") { // row 7
    World world;
    CHECK(world.verify(with(world.sign(plain, text)), text.substr(0, text.size() - 2)).text == "pass;");
}

TEST_CASE("rsa-sha1 is no pass") { // row 8
    World world;
    auto const sha1 = with(changed(world.sign(plain, text), "a=rsa-sha256", "a=rsa-sha1"));
    CHECK(world.verify(sha1, text).text == "policy (rsa-sha1 is not accepted);");
    CHECK(world.resolver.questions().empty());
}

TEST_CASE("malformed signatures are permerror and are not shown to the library") { // rows 9, 10 and 15
    World world;
    auto const good = world.sign(plain, text);
    for (auto const& signature :
         {changed(good, "d=example.com;", "d=example.com; d=example.org;"),
          changed(good, "t=", "x=99999999999999999999; t="), changed(good, "t=", "t=1e9; y="),
          changed(good, "d=example.com", "d=exa(mple.com"), changed(good, "d=example.com", "d=.com"),
          changed(good, "s=rsa", "s=r a"), changed(good, "v=1", "v=2"), std::string("garbage"),
          std::string(";"), std::string(), changed(good, "v=1;", ""),
          changed(good, "t=", "i=" + std::string(300, 'a') + "@example.com; t="),
          changed(good, "v=1;", "v=1;;")}) {
        INFO(printable(signature, 300));
        auto const report = world.verify(with(signature), text);
        CHECK(report.text == "permerror;");
        CHECK(report.outcome == Outcome::bad_signature);
    }
    CHECK(world.resolver.questions().empty());
    CHECK(world.verify(with("garbage", with(good)), text).text == "permerror;pass;");
}

TEST_CASE("expired signatures and those from the future are permerror") { // row 11
    World world;
    auto const good = world.sign(plain, text);
    auto const time = std::to_string(world.now);
    CHECK(world.verify(with(changed(good, "t=" + time, "t=1000000000; x=1000000001")), text).text ==
          "permerror;");
    CHECK(world.verify(with(changed(good, "t=" + time, "t=" + std::to_string(world.now + 100000))), text)
              .text == "permerror;");
    CHECK(world.resolver.questions().empty());
}

TEST_CASE("a key below MinimumKeyBits is no pass") { // row 12
    World world("Mode v\nMinimumKeyBits 2048");
    CHECK(world.verify(with(world.sign(plain, text)), text).text == "policy (signing key too small);");
    CHECK(world.verify(with(world.sign(plain, text, "ed")), text).text == "pass;");
}

TEST_CASE("empty, broken, doubled and foreign key records are permanent") { // row 13
    World world;
    auto const headers = with(world.sign(plain, text));
    auto const with_record = [&](std::vector<std::string> const& records) {
        world.resolver.zone = Zone();
        for (auto const& each : records) world.resolver.zone.txt("rsa._domainkey.example.com", each);
        return world.verify(headers, text);
    };
    CHECK(with_record({"v=DKIM1; k=rsa; p="}).text == "fail (key revoked);");
    CHECK(with_record({"v=DKIM1; k=rsa; p=!!!!"}).text == "permerror;");
    CHECK(with_record({"v=DKIM1; k=rsa; p=AAAA", "v=DKIM1; k=rsa; p=AAAA"}).text == "permerror;");
    CHECK(with_record({"some other text"}).text == "permerror;");
    CHECK(with_record({"v=DKIM1; k=dsa; p=AAAA"}).text == "fail (unknown key type);");
    CHECK(with_record({"v=DKIM1; k=rsa; p=" + std::string(2000, 'A')}).text == "permerror;");
    for (auto const* record : {"v=DKIM1; k=rsa; p=", "some other text"})
        CHECK(with_record({record}).outcome == Outcome::bad_signature);
    auto const key = (*SigningKey::parse(rsa_key(), 1024))->public_base64();
    CHECK(with_record({"unrelated", "v=DKIM1; p=" + key}).text == "pass;");
}

TEST_CASE("a second From above an oversigned one does not pass") { // row 14
    World world;
    auto headers = with(world.sign(plain, text));
    headers.insert(headers.begin(), {"From", " ceo@bank.example"});
    CHECK(world.verify(headers, text).text == "fail (signature verification failed);");
}

TEST_CASE("only so many signatures are verified, the author's first") { // rows 19 and 21
    World world("Mode v\nMaximumSignaturesToVerify 2");
    auto const good = world.sign(plain, text);
    HeaderList headers = plain;
    headers.insert(headers.begin(), {"DKIM-Signature", " " + good});
    for (int i = 0; i < 60; ++i)
        headers.insert(
            headers.begin(),
            {"DKIM-Signature", " " + changed(good, "d=example.com", "d=x" + std::to_string(i) + ".example")});
    auto const report = world.verify(headers, text);
    CHECK(report.outcome == Outcome::good);
    CHECK(report.text.ends_with("neutral;pass;"));
    CHECK(world.resolver.questions().size() == 2);
    auto const equal = with(good, with(good, with(good)));
    CHECK(world.verify(equal, text).text == "pass;pass;neutral;");
}

TEST_CASE("TrustSignaturesFrom leaves other third parties unlooked at") {
    World world("Mode v\nTrustSignaturesFrom trusted.example");
    auto const good = world.sign(plain, text);
    CHECK(world.verify(with(changed(good, "d=example.com", "d=other.example"), with(good)), text).text ==
          "neutral;pass;");
    CHECK(world.resolver.questions() == std::vector<std::string>{"rsa._domainkey.example.com TXT"});
}

TEST_CASE("MustBeSigned fails a signature that leaves the field out") {
    World world("Mode v\nMustBeSigned to");
    HeaderList headers = plain;
    CHECK(world.verify(with(world.sign(headers, text), headers), text).text == "pass;");
    headers.emplace_back("To", " b@example.net");
    CHECK(world.verify(with(world.sign(headers, text), headers), text).text ==
          "policy (mandatory header not signed);");
}

TEST_CASE("a testing key is told, so that nothing is refused for its sake") {
    World world;
    auto const key = (*SigningKey::parse(rsa_key(), 1024))->public_base64();
    world.resolver.zone = Zone();
    world.resolver.zone.txt("rsa._domainkey.example.com", "v=DKIM1; t=y; p=" + key);
    auto const report = world.verify(with(world.sign(plain, text)), "other\r\n");
    CHECK(report.outcome == Outcome::bad_signature);
    CHECK(report.test_key);
}

TEST_CASE("DNSSEC is told, and an unprotected key can be made to count less") {
    World world("Mode v\nUnprotectedKey fail");
    auto const headers = with(world.sign(plain, text));
    CHECK(world.verify(headers, text).text == "policy;");
    CHECK(world.verify(headers, text).outcome == Outcome::bad_signature);
    World neutral("Mode v\nUnprotectedKey neutral");
    CHECK(neutral.verify(headers, text).text == "neutral;");
    CHECK(neutral.verify(headers, text).outcome == Outcome::tolerated);
    CHECK(neutral.verify(headers, "other\r\n").outcome == Outcome::bad_signature);
    world.resolver.zone.secure = true;
    CHECK(world.verify(headers, text).text == "pass;");
}

TEST_CASE("a key whose DNSSEC is forged never counts, and BogusKey says what it is then") {
    class Forged final : public dns::Resolver {
        Result<dns::DnsAnswer> lookup(std::string_view, dns::RecordType, Deadline) override {
            return std::unexpected(dns::bogus_answer("signature missing"));
        }
    };
    auto const report = [](std::string_view settings) {
        World const world("Mode v\n" + std::string(settings));
        Forged resolver;
        auto const headers = with(world.sign(plain, text));
        Verifier verifier(*world.made.configuration, resolver, headers, "example.com");
        verifier.body(text);
        auto const result = verifier.finish().front();
        CHECK(result.dnssec == "bogus");
        return std::pair(std::string(to_string(result.kind)) + " " + result.reason, verifier.outcome());
    };
    CHECK(report("") == std::pair(std::string("temperror "), Outcome::dns_error));
    CHECK(report("BogusKey none") == std::pair(std::string("temperror "), Outcome::dns_error));
    CHECK(report("BogusKey neutral") == std::pair(std::string("neutral "), Outcome::tolerated));
    CHECK(report("BogusKey fail") == std::pair(std::string("policy key is bogus"), Outcome::bad_signature));
    CHECK_FALSE(dns::is_bogus(temporary("SERVFAIL").error()));
}

TEST_CASE("third parties count when they are trusted; without a number only they and the author's domain") {
    HeaderList const foreign{{"From", " a@author.example"}, {"Subject", " x"}};
    auto const seen = [&](std::string_view settings, std::string_view author) {
        World world("Mode v\n" + std::string(settings));
        auto const headers = with(world.sign(foreign, text), foreign);
        Verifier verifier(*world.made.configuration, world.resolver, headers, std::string(author));
        verifier.body(text);
        return std::string(to_string(verifier.finish().front().kind));
    };
    CHECK(seen("", "author.example") == "pass");
    CHECK(seen("TrustSignaturesFrom example.com", "author.example") == "pass");
    CHECK(seen("TrustSignaturesFrom example.net", "author.example") == "neutral");
    CHECK(seen("MaximumSignaturesToVerify 0", "author.example") == "neutral");
    CHECK(seen("MaximumSignaturesToVerify 0", "example.com") == "pass");
    CHECK(seen("MaximumSignaturesToVerify 0\nTrustSignaturesFrom example.com", "author.example") == "pass");
}

TEST_CASE("what a key may not do is told in libopendkim's words") {
    World world;
    auto const key = (*SigningKey::parse(rsa_key(), 1024))->public_base64();
    auto const with_record = [&](std::string const& record, std::string const& signature) {
        world.resolver.zone = Zone();
        world.resolver.zone.txt("rsa._domainkey.example.com", record);
        return world.verify(with(signature), text).text;
    };
    auto const good = world.sign(plain, text);
    for (auto const& [record, result] : std::vector<std::pair<std::string, std::string>>{
             {"v=DKIM2; p=" + key, "fail (unknown key version);"},
             {"v=DKIM1; h=sha1; p=" + key, "fail (signature-key hash mismatch);"},
             {"v=DKIM1; h=md5; p=" + key, "fail (unknown key hash);"},
             {"v=DKIM1; h=md5:sha256; s=*; k=RSA; p=" + key, "pass;"},
             {"v=DKIM1; s=tlsrpt; p=" + key, "fail (not an e-mail key);"},
             {"v=DKIM1; garbage; p=" + key, "fail (key DNS reply corrupt);"},
             {"v=DKIM1; p = \"" + key.substr(0, 50) + " " + key.substr(50) + "\"", "pass;"},
             {"v=DKIM1; k=ed25519; p=" + key, "permerror;"}})
        CHECK(with_record(record, good) == result);
    SigningOptions options;
    HeaderChoice const choice{{"from"}, {}, {}};
    Signer signer({{"example.com", "rsa", "a@sub.example.com", *SigningKey::parse(rsa_key(), 1024)}}, options,
                  choice, plain);
    signer.body(text);
    auto const subdomain = (*signer.finish(world.now))[0].value;
    CHECK(with_record("v=DKIM1; t=s; p=" + key, good) == "pass;");
    CHECK(with_record("v=DKIM1; p=" + key, subdomain) == "pass;");
    CHECK(with_record("v=DKIM1; t=s; p=" + key, subdomain) == "permerror;");
}

TEST_CASE("signatures that cannot hold are permerror and ask for no key") {
    World world;
    auto const good = world.sign(plain, text);
    for (auto const& [from, to] :
         std::vector<std::pair<std::string, std::string>>{{"v=1;", "v=1; i=@example.org;"},
                                                          {"v=1;", "v=1; i=x;"},
                                                          {"v=1;", "v=1; q=smtp/txt;"},
                                                          {"c=simple/simple", "c=simple/odd"},
                                                          {"c=simple/simple", "c=odd"},
                                                          {"a=rsa-sha256", "a=rsa-md5"},
                                                          {"h=From:Subject:from", "h=Subject"},
                                                          {"h=From:Subject:from", "h="},
                                                          {"bh=", "bh=!"},
                                                          {"v=1;", "v=1; x=1;"}})
        CHECK(world.verify(with(changed(good, from, to)), text).text == "permerror;");
    CHECK(world.verify(with(good.substr(0, good.rfind("b=") + 2)), text).text == "permerror;");
    CHECK(world.verify(with(good.substr(0, good.rfind("b=") + 2) + "!!!!"), text).text == "permerror;");
    CHECK(world.resolver.questions().empty());
}

TEST_CASE("results carry libopendkim's numbers, and how much of the body was covered") {
    World world;
    auto const result_of = [&](std::string const& signature, std::string_view body) {
        auto const headers = with(signature);
        Verifier verifier(*world.made.configuration, world.resolver, headers, "example.com", world.now);
        verifier.body(body);
        return verifier.finish().front();
    };
    SigningOptions options;
    options.tells_length = true;
    auto const good = world.sign(plain, text, "rsa", options);
    auto const pass = result_of(good, text);
    CHECK((pass.error == 0 && pass.body_hash == 0 && pass.limit == 14 && pass.covered == 14));
    auto const longer = result_of(good, text + "more\r\n");
    CHECK((longer.error == 0 && longer.body_hash == 0 && longer.covered == 14 && longer.body_length == 20));
    auto const other = result_of(good, "hello\r\nworlD\r\n");
    CHECK((other.error == 28 && other.body_hash == 1));
    CHECK(result_of(good, "hello\r\n").error == 33);
    CHECK(result_of(changed(good, "s=rsa;", "s=gone;"), text).error == 22);
    CHECK(result_of(changed(good, "v=1;", "v=1; x=1;"), text).error == 5);
    CHECK(result_of(changed(good, "t=" + std::to_string(world.now), "t=1; x=2"), text).error == 3);
    world.resolver.zone.fail("rsa._domainkey.example.com");
    CHECK(result_of(good, text).error == 24);
}

TEST_CASE("a signature that is to be ignored is neutral") {
    World world;
    auto const headers = with(world.sign(plain, text));
    Verifier verifier(*world.made.configuration, world.resolver, headers, "example.com", world.now);
    CHECK(verifier.signature_count() == 1);
    verifier.ignore(0);
    verifier.body(text);
    CHECK(verifier.finish().front().kind == SignatureResult::Kind::neutral);
    CHECK(verifier.outcome() == Outcome::bad_signature);
}

TEST_CASE("signatures without use do not count against MaximumSignaturesToVerify") {
    World world("Mode v\nMaximumSignaturesToVerify 1");
    auto const good = world.sign(plain, text);
    auto const expired = changed(good, "v=1;", "v=1; x=1;");
    CHECK(world.verify(with(expired, with(expired, with(good))), text).text == "permerror;permerror;pass;");
}

TEST_CASE("4,000 signatures and 16,000 names in h= cost no time worth telling") { // row 19
    World world;
    auto headers = with(changed(world.sign(plain, text), "h=From",
                                "h=" + replace_all(std::string(15000, 'x'), "x", "b:") + "From"));
    for (int i = 0; i < 4000; ++i) headers.emplace_back("DKIM-Signature", " b=x");
    auto const report = world.verify(headers, text);
    CHECK(report.text.starts_with("fail (signature verification failed);permerror;"));
    CHECK(report.outcome == Outcome::bad_signature);
}

namespace {

class Generator {
  public:
    explicit Generator(unsigned seed) : random_(seed) {}
    std::size_t pick(std::size_t count) {
        return std::uniform_int_distribution<std::size_t>(0, count - 1)(random_);
    }
    HeaderList headers() {
        std::string_view const names[] = {"From", "Subject", "to", "Cc", "Received", "X-A", "Reply-To"};
        std::string_view const pieces[] = {"x", " ",           "\t", "\n ", "\n\t", "word", "<a@b.example>",
                                           ",", "\xe2\x82\xac"};
        HeaderList out{{"From", " a@example.com"}};
        for (auto count = pick(9); count > 0; --count)
            out.emplace_back(names[pick(std::size(names))], text(pieces, 12));
        return out;
    }
    std::string body() {
        std::string_view const octets[] = {"a",    "b", " ", "\t",       "\r\n",
                                           "\r\n", ".", "=", "\xc3\xa4", "longer text"};
        return text(octets, 40) + "\r\n";
    }
    // One octet less, one more, or another one.
    std::string damaged(std::string text) {
        auto const at = pick(text.size());
        std::string_view const octets = "a;=: \n\tZ0";
        switch (pick(3)) {
        case 0: text.erase(at, 1); break;
        case 1: text.insert(at, 1, octets[pick(octets.size())]); break;
        default: text[at] = octets[pick(octets.size())];
        }
        return text;
    }

  private:
    template <std::size_t n>
    std::string text(std::string_view const (&pieces)[n], std::size_t most) {
        std::string out;
        for (auto length = pick(most); length > 0; --length) out += pieces[pick(n)];
        return out;
    }
    std::mt19937 random_;
};

} // namespace

TEST_CASE("libopendkim agrees on generated messages, and on no damaged one do we pass more") {
    World world("Mode v\nMinimumKeyBits 1024");
    Generator random(20261129);
    for (int round = 0; round < 600; ++round) {
        auto const headers = random.headers();
        auto const body = random.body();
        SigningOptions options;
        auto const form = [&] {
            return random.pick(2) == 0 ? CanonicalForm::simple : CanonicalForm::relaxed;
        };
        options.canonicalization = {form(), form()};
        options.tells_length = random.pick(4) == 0;
        auto const signature = world.sign(headers, body, random.pick(3) == 0 ? "ed" : "rsa", options);
        INFO(signature << "\n" << printable(body, 2000));
        CHECK(world.verify(with(signature, headers), body, 1 + random.pick(9)).text == "pass;");
        CHECK(oracle_verdicts(with(signature, headers), body, world.records) ==
              std::vector<std::string>{"pass"});
        auto const damaged = with(random.damaged(signature), headers);
        INFO(damaged[0].second);
        auto const theirs = oracle_verdicts(damaged, body, world.records);
        if (world.verify(damaged, body).text == "pass;") CHECK(theirs == std::vector<std::string>{"pass"});
        auto const other_body = random.damaged(body);
        if (world.verify(with(signature, headers), other_body).text == "pass;")
            CHECK(oracle_verdicts(with(signature, headers), other_body, world.records) ==
                  std::vector<std::string>{"pass"});
    }
}

TEST_CASE("results read as OpenDKIM writes them") {
    SignatureResult pass;
    pass.kind = SignatureResult::Kind::pass;
    pass.key_bits = 2048;
    pass.dnssec = "secure";
    pass.domain = "example.com";
    pass.identity = "@example.com";
    pass.algorithm = "rsa-sha256";
    pass.selector = "s";
    pass.signature = "VzVVB/J0";
    SignatureResult fail;
    fail.kind = SignatureResult::Kind::fail;
    fail.reason = "key revoked";
    fail.domain = "a.example";
    fail.identity = "x y@a.example";
    fail.algorithm = "ed25519-sha256";
    fail.selector = "t";
    fail.signature = "abc";
    CHECK(results_text({"mx.example.com", false, true}, {pass, fail}) ==
          "mx.example.com;\n\tdkim=pass (2048-bit key; secure) header.d=example.com header.i=@example.com "
          "header.a=rsa-sha256 header.s=s header.b=VzVVB/J0;\n\tdkim=fail reason=\"key revoked\" "
          "header.d=a.example "
          "header.i=\"x y@a.example\" header.a=ed25519-sha256 header.s=t header.b=abc;\n\tdkim-atps=neutral");
    CHECK(results_text({"mx", true, true}, {}) == "mx; dkim=none; dkim-atps=neutral");
    CHECK(malformed_text("mx") == "mx; dkim=permerror (bad message/signature format)");
}
