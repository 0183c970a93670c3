// Settings that change what a session does with a whole message.
#include "milter-dkim/service.h"
#include "milter-dkim/sign/signer.h"
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

TEST_CASE("a message that met a fault of ours is held with CaptureUnknownErrors") {
    class Broken final : public dns::Resolver {
        Result<dns::DnsAnswer> lookup(std::string_view, dns::RecordType, Deadline) override {
            throw std::runtime_error("no memory");
        }
    };
    auto const verdict = [](std::string_view settings, std::string& edits) {
        World world(settings);
        auto const headers = world.signed_message();
        world.generation->resolver = std::make_shared<Broken>();
        auto const seen = world.send(headers);
        CHECK(world.log.expect("internal error: no memory"));
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

TEST_CASE("a signature that cannot be read is refused at once, unless WeakSyntaxChecks goes on") {
    auto const verdict = [](std::string_view settings) {
        World world(settings);
        auto headers = world.signed_message();
        headers.insert(headers.begin(), {"DKIM-Signature", " v=1 a=rsa-sha256; d=example.com"});
        auto const seen = world.send(headers);
        world.log.expect("Q1: syntax error: missing a=");
        return seen.verdict + " " + (seen.edits.contains("dkim=pass") ? "pass" : "");
    };
    CHECK(verdict("") == "accept pass");
    CHECK(verdict("On-BadSignature reject") == "reject 550 5.7.0 DKIM signature syntax error ");
    CHECK(verdict("On-BadSignature reject\nWeakSyntaxChecks yes") == "accept pass");
    CHECK(verdict("On-BadSignature quarantine") == "accept pass");
}

TEST_CASE("settings of one word change a signature") {
    auto const made = [](std::string_view settings, std::string_view body = two_lines) {
        World world(settings);
        world.client = {"localhost", "127.0.0.1"};
        return world.send(world.plain, body).edits;
    };
    CHECK(made("SignatureTTL 3600").contains("x="));
    CHECK_FALSE(made("").contains("x="));
    CHECK(made("RequestReports yes").contains("r=y;"));
    CHECK(made("OmitHeaders Subject").contains("h=From:Date;"));
    CHECK(made("SignHeaders From,Date").contains("h=From:Date;"));
    CHECK(made("OverSignHeaders From").contains("h=From:Subject:Date:From;"));
    CHECK(made("ATPSDomains example.com\nATPSHashAlgorithm sha1").contains("atps=example.com; atpsh=sha1;"));
    auto const body_hash = [&](std::string_view settings, std::string_view body) {
        auto const edits = made(settings, body);
        return edits.substr(edits.find("bh="), 47);
    };
    CHECK(body_hash("FixCRLF yes", "a\nb\r\n") == body_hash("", "a\r\nb\r\n"));
    CHECK(body_hash("", "a\nb\r\n") != body_hash("", "a\r\nb\r\n"));
    for (auto const* name : {"SoftwareHeader", "X-Header"})
        CHECK(made(std::string(name) + " yes")
                  .ends_with("insert 0 DKIM-Filter: OpenDKIM Filter v2.11.0 mx.example.com Q1\n"));
}

TEST_CASE("settings of one word change a verification") {
    World signer;
    auto const headers = signer.signed_message();
    auto const seen = [&](std::string_view settings) {
        World world(settings);
        auto edits = world.send(headers).edits;
        return std::pair(std::move(edits), world.log.all());
    };
    CHECK(seen("").first.contains("header.b="));
    CHECK_FALSE(seen("NoHeaderB yes").first.contains("header.b="));
    CHECK(seen("LogResults yes")
              .second.contains("domain=example.com selector=s result=\"no signature error\""));
    // Keys from a file, whatever the DNS would say.
    auto const record = "v=DKIM1; p=" + (*SigningKey::parse(ed25519_key(), 1024))->public_base64();
    TempDir files;
    auto const file = files.write("keys", "s._domainkey.example.com " + record + "\n");
    CHECK_FALSE(seen("TestDNSData file:" + file).first.contains("dkim=pass"));
    CHECK_FALSE(seen("TestPublicKeys " + file).first.contains("dkim=pass"));
}

TEST_CASE("clocks may differ by ClockDrift") {
    auto const seen = [](std::string_view settings) {
        World world(settings);
        HeaderChoice const choice{{"from"}, {}, {}};
        HeaderList headers{{"From", " a@example.com"}};
        Signer signer({{"example.com", "s", "", *SigningKey::parse(rsa_key(), 1024)}}, {}, choice, headers);
        signer.body(two_lines);
        auto const later = std::time(nullptr) + 200;
        headers.insert(headers.begin(), {"DKIM-Signature", " " + (*signer.finish(later))[0].value});
        return world.send(headers, two_lines).edits.contains("dkim=pass");
    };
    CHECK(seen(""));
    CHECK_FALSE(seen("ClockDrift 10"));
}

TEST_CASE("what the settings say of the process is what the daemon does") {
    TestLog log;
    auto const process = process_of(
        configure("AutoRestart yes\nAutoRestartCount 5\nAutoRestartRate 10/1h\nUMask 007\nUserID u:g\n"
                  "ChangeRootDirectory /r\nEnableCoredumps yes\nBackground no\nPidFile /p\n",
                  log)
            .configuration->settings);
    REQUIRE(process.auto_restart);
    CHECK(process.auto_restart->most == 5);
    CHECK(process.auto_restart->rate == 10);
    CHECK(process.auto_restart->rate_period == std::chrono::hours(1));
    CHECK(process.umask == 7U);
    CHECK(process.user == "u:g");
    CHECK(process.root_directory == "/r");
    CHECK(process.core_dumps);
    CHECK_FALSE(process.background);
    CHECK(process.pid_file == "/p");
    CHECK(process.reload_on_usr1);
    CHECK_FALSE(process_of(Settings()).auto_restart);
    CHECK(process_of(Settings()).background);
}

TEST_CASE("a header field chooses the canonical forms of its message, or only the header's") {
    auto const made = [](std::string_view settings, std::string const& name, std::string const& value) {
        World world("Canonicalization relaxed/relaxed\n" + std::string(settings));
        world.client = {"localhost", "127.0.0.1"};
        world.plain.emplace_back(name, value);
        auto const edits = world.send(world.plain).edits;
        return edits.substr(edits.find("c="), edits.find(';', edits.find("c=")) - edits.find("c="));
    };
    CHECK(made("", "canonicalization", " simple/simple") == "c=simple/simple");
    CHECK(made("", "Canonicalization", " simple") == "c=simple/relaxed");
    CHECK(made("", "Canonicalization", " odd/simple") == "c=relaxed/simple");
    CHECK(made("", "X-Canonicalization", " simple") == "c=relaxed/relaxed");
    CHECK(made("SelectCanonicalizationHeader X-Form", "X-Form", " simple/relaxed") == "c=simple/relaxed");
}

TEST_CASE("RemoveARFrom takes away results of DKIM, RemoveARAll every result") {
    HeaderList const headers{{"Authentication-Results", " other; spf=pass smtp.mailfrom=a.example"},
                             {"Authentication-Results", " other; dkim=pass header.d=a.example"},
                             {"Authentication-Results", " third; dkim=pass header.d=a.example"},
                             {"From", " a@x.example"}};
    CHECK(World("RemoveARFrom other").send(headers).edits == "change Authentication-Results 2: \n");
    CHECK(World("RemoveARFrom other\nRemoveARAll yes").send(headers).edits ==
          "change Authentication-Results 2: \nchange Authentication-Results 1: \n");
}

TEST_CASE("with MultipleSignatures every row that matches signs") {
    TempDir files;
    chmod(files.write("k", rsa_key()).c_str(), 0600);
    auto const keys =
        "KeyTable csl:a=example.com:a:" + files.path("k") + ",b=example.com:b:" + files.path("k");
    auto const table = "\nSigningTable refile:" + files.write("t", "*@example.com a\na@* b\n");
    auto const made = [&](std::string_view settings) {
        World world(keys + table + std::string(settings));
        world.client = {"localhost", "127.0.0.1"};
        auto const edits = world.send(world.plain).edits;
        return std::pair(edits.contains("s=a;"), edits.contains("s=b;"));
    };
    CHECK(made("") == std::pair(true, false));
    CHECK(made("\nMultipleSignatures yes") == std::pair(true, true));
}

TEST_CASE("MilterDebug is asked for with the negotiation") {
    CHECK(negotiation(*World("MilterDebug 3").generation->configuration).debug_level == 3);
    CHECK(negotiation(*World().generation->configuration).debug_level == 0);
}
