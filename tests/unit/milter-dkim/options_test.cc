// Settings that change what a session does with a whole message.
#include "milter-dkim/libopendkim.h"
#include "tests/unit/milter-dkim/session_world.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using World = SessionWorld;

namespace {

constexpr std::string_view two_lines = "hello\r\nworld\r\n"; // 14 octets in simple form

HeaderList signed_by(World& world, HeaderList const& headers, std::string_view body = two_lines) {
    auto const before = world.client;
    world.client = {"localhost", "127.0.0.1"};
    auto edits = world.send(headers, body).edits;
    world.client = before;
    constexpr std::string_view prefix = "insert 0 DKIM-Signature: ";
    REQUIRE(edits.starts_with(prefix));
    edits.pop_back();
    auto out = headers;
    out.insert(out.begin(), {"DKIM-Signature", " " + edits.substr(prefix.size())});
    return out;
}

} // namespace

TEST_CASE("a header that RFC 5322 does not allow is malformed with StrictHeaders, signed or verified") {
    auto const malformed =
        "insert 0 Authentication-Results: us; dkim=permerror (bad message/signature format)\n";
    auto twice = World().plain;
    twice.emplace_back("Subject", " y");
    for (auto const* address : {"127.0.0.1", "192.0.2.7"}) {
        World world("StrictHeaders yes");
        world.client.address = address;
        CHECK(world.send(twice).edits == malformed);
        CHECK(world.log.contains("Q1: syntax error: multiple Subject: header fields present"));
        CHECK(world.send({{"From", " a@example.com"}}).edits == malformed);
        CHECK(world.log.contains("Q1: syntax error: Date: header field absent"));
        CHECK_FALSE(world.send(world.plain).edits.contains("permerror"));
    }
    World lenient;
    lenient.client.address = "127.0.0.1";
    CHECK(lenient.send(twice).edits.contains("DKIM-Signature"));
    CHECK(World("StrictHeaders yes\nIgnoreMalformedMail yes").send(twice).edits.empty());
}

TEST_CASE("RequiredHeaders refuses in OpenDKIM's words") {
    World world("RequiredHeaders yes");
    CHECK(world.send({{"From", " a@example.com"}}).verdict ==
          "reject 550 5.0.0 message does not have exactly one Date field");
    CHECK(
        world.log.contains("RFC5322 header requirement error: message does not have exactly one Date field"));
    auto both = world.plain;
    both.emplace_back("From", " b@example.com");
    CHECK(world.send(both).verdict == "reject 550 5.0.0 message does not have exactly one From field");
}

TEST_CASE("Minimum tells how much of a body must be covered, in octets, percent and octets left") {
    World signer("MaximumSignedBytes 5");
    auto const headers = signed_by(signer, signer.plain);
    CHECK(headers[0].second.contains("l=5;"));
    auto const seen = [&](std::string_view minimum) {
        World world("On-BadSignature reject\n" + std::string(minimum));
        auto const result = world.send(headers, two_lines);
        CHECK(result.edits.contains("dkim=policy reason=\"signature does not cover the whole body\""));
        CHECK_FALSE(result.edits.contains("dkim=pass"));
        return result.verdict;
    };
    auto const refused = "reject 550 5.7.0 bad DKIM signature data";
    CHECK(seen("") == refused);
    CHECK(seen("Minimum 5") == "accept");
    CHECK(seen("Minimum 6") == refused);
    CHECK(seen("Minimum 35%") == "accept");
    CHECK(seen("Minimum 36%") == refused);
    CHECK(seen("Minimum 9+") == "accept");
    CHECK(seen("Minimum 8+") == refused);
    // A body that is smaller must be covered as a whole.
    World world("On-BadSignature reject\nMinimum 100");
    World whole("MaximumSignedBytes 14");
    CHECK(world.send(signed_by(whole, whole.plain), two_lines).edits.contains("dkim=pass"));
}

TEST_CASE("a message that libopendkim has no resources for is held with CaptureUnknownErrors") {
    auto const verdict = [](std::string_view settings, std::string& edits) {
        World world(settings);
        auto const headers = world.signed_message();
        // The library is made to want temporary files where there is no directory.
        auto* library = world.generation->library->get();
        unsigned flags = 0;
        dkim_options(library, DKIM_OP_GETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
        flags |= DKIM_LIBFLAGS_TMPFILES;
        dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_FLAGS, &flags, sizeof flags);
        char nowhere[] = "/nonexistent";
        dkim_options(library, DKIM_OP_SETOPT, DKIM_OPTS_TMPDIR, nowhere, sizeof(char*));
        auto const seen = world.send(headers);
        CHECK(world.log.expect("internal error from libopendkim"));
        edits = seen.edits;
        return seen.verdict;
    };
    std::string edits;
    CHECK(verdict("", edits) == "tempfail 451 4.7.0 internal DKIM error");
    CHECK(verdict("On-InternalError reject", edits) == "reject 550 5.7.0 internal DKIM error");
    CHECK_FALSE(edits.contains("quarantine"));
    CHECK(verdict("CaptureUnknownErrors yes", edits) == "accept");
    CHECK(edits.ends_with("quarantine capture requested\n"));
}

TEST_CASE("mail that cannot be redirected does not go to whom it was sent") {
    World world("RedirectFailuresTo postmaster@example.com");
    auto headers = world.signed_message();
    headers[2].second = " changed";
    world.refuses = true;
    CHECK(world.send(headers).verdict == "tempfail");
    CHECK(world.log.expect("the MTA went away"));
}

TEST_CASE("the header is signed as ReplaceRules say that it will leave") {
    TempDir files;
    auto const rules = files.write("rules", "# masquerading\n@host\\.example\\.com\t@example.com\n");
    World world("ReplaceRules " + rules);
    auto headers = world.plain;
    headers[0].second = " a@host.example.com";
    auto const signed_headers = signed_by(world, headers);
    auto rewritten = signed_headers;
    rewritten[1].second = " a@example.com";
    CHECK(World().send(rewritten, two_lines).edits.contains("dkim=pass"));
    CHECK(World().send(signed_headers, two_lines).edits.contains("dkim=fail"));
    World other("ReplaceHeaders Subject\nReplaceRules " + rules);
    other.client = {"localhost", "127.0.0.1"};
    CHECK(other.send(headers).edits.empty());
}

TEST_CASE("the reply to a failed signature begins as its domain wishes") {
    World signer("RequestReports yes");
    auto headers = signed_by(signer, signer.plain);
    headers[2].second = " changed";
    World world("On-BadSignature reject");
    CHECK(world.send(headers, two_lines).verdict == "reject 550 5.7.0 bad DKIM signature data");
    world.resolver->zone.txt("_report._domainkey.example.com", "ra=x; rs=see=20http://example.com/dkim");
    CHECK(world.send(headers, two_lines).verdict ==
          "reject 550 5.7.0 see http://example.com/dkim: bad DKIM signature data");
    world.resolver->zone.remove("_report._domainkey.example.com");
    world.resolver->zone.txt("_report._domainkey.example.com", "rs=a=0D=0Ab");
    CHECK(world.send(headers, two_lines).verdict == "reject 550 5.7.0 bad DKIM signature data");
}
