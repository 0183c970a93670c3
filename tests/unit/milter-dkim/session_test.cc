// Whole messages through the session: what the MTA is told to do, and what the log says.
#include "milter-dkim/session.h"

#include "tests/unit/milter-dkim/session_world.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using World = SessionWorld;

TEST_CASE("mail from this machine is signed, and the other side finds it good") {
    World world("SyslogSuccess yes");
    auto const headers = world.signed_message();
    CHECK(world.log.contains("Q1: DKIM-Signature field added (s=s, d=example.com)"));
    auto const seen = world.send(headers);
    CHECK(seen.verdict == "accept");
    CHECK(seen.edits.starts_with(
        "insert 0 Authentication-Results: us;\n\tdkim=pass (1024-bit key; unprotected) header.d=example.com "
        "header.i=@example.com header.a=rsa-sha256 header.s=s header.b="));
    CHECK(seen.edits.ends_with(";\n\tdkim-atps=neutral\n"));
    CHECK(world.log.contains("Q1: DKIM verification successful"));
    CHECK(world.log.contains("Q1: external host mail.example.org attempted to send as example.com"));
}

TEST_CASE("protocol 2 without leading spaces signs the same fields") {
    World world;
    auto const headers = world.signed_message();
    CHECK(world.send(headers, "hello\r\n", false).edits.contains("dkim=pass"));
}

TEST_CASE("an MTA that takes no signature gets a temporary failure, not unsigned mail") {
    World world;
    world.client = {"localhost", "127.0.0.1"};
    world.refuses = true;
    CHECK(world.send(world.plain).verdict == "tempfail");
    CHECK(world.log.expect("Q1: the MTA went away"));
}

TEST_CASE("forged results under our name are removed, whatever they say and however broken") {
    World world;
    HeaderList headers{{"Authentication-Results", " us; dkim=pass header.d=bank.example"},
                       {"Authentication-Results", " other; dkim=pass"},
                       {"Authentication-Results", " US/77; spf=pass smtp.mailfrom=bank.example"},
                       {"authentication-results", " us (unclosed; dkim=pass"},
                       {"Authentication-Results", " \"us\"; none"}};
    headers.insert(headers.end(), world.plain.begin(), world.plain.end());
    auto const seen = world.send(headers);
    CHECK(seen.edits == "change Authentication-Results 5: \nchange Authentication-Results 4: \nchange "
                        "Authentication-Results 3: \n"
                        "change Authentication-Results 1: \n");
    CHECK(World("KeepAuthResults yes").send(headers).edits.empty());
    CHECK(World("RemoveARFrom other").send(headers).edits.contains("change Authentication-Results 2: \n"));
    // What is signed here is our own mail.
    world.client = {"localhost", "127.0.0.1"};
    CHECK_FALSE(world.send(headers).edits.contains("change"));
}

TEST_CASE("a stranger's forged results are removed from mail that passes untouched, too") {
    HeaderList const forged{{"Authentication-Results ", " us; spf=pass"},
                            {"Authentication-Results", " other; dkim=pass"},
                            {"From", " x@exempt.example"}};
    HeaderList const nameless{{"Authentication-Results", " us; dkim=pass"}, {"Subject", " x"}};
    for (auto const* settings : {"PeerList 192.0.2.7", "ExemptDomains exempt.example", "Mode s"}) {
        CAPTURE(settings);
        World world(settings);
        auto const seen = world.send(forged);
        CHECK(seen.edits == "change Authentication-Results 1: \n");
        CHECK(seen.verdict == "accept");
        CHECK(world.send({{"From", " x@exempt.example"}}).verdict == "accept");
        CHECK(World(std::string(settings) + "\nKeepAuthResults yes").send(forged).edits.empty());
        world.macros.values["{auth_type}"] = "PLAIN";
        CHECK(world.send(forged).edits.empty());
    }
    CHECK(World("IgnoreMalformedMail yes").send(nameless).edits == "change Authentication-Results 1: \n");
    CHECK(World("IgnoreMalformedMail yes\nMode s").send(nameless).edits ==
          "change Authentication-Results 1: \n");
    CHECK(World("MaximumHeaders 60\nOn-Security accept").send(forged).edits ==
          "change Authentication-Results 1: \n");
    CHECK(World("MaximumHeaders 20\nOn-Security accept").send(forged).edits ==
          "change Authentication-Results 1: \n");
}

TEST_CASE("unsigned mail gets a result only when asked for") {
    CHECK(World().send({{"From", " x@example.org"}}).edits.empty());
    CHECK(World("AlwaysAddARHeader yes\nAuthservIDWithJobID yes").send({{"From", " x@example.org"}}).edits ==
          "insert 0 Authentication-Results: us/Q1; dkim=none; dkim-atps=neutral\n");
    CHECK(World("On-NoSignature reject").send({{"From", " x@example.org"}}).verdict ==
          "reject 550 5.7.0 no DKIM signature data");
}

TEST_CASE("results lead to what the settings say") {
    auto const verdict = [](std::string_view settings, auto const& change) {
        World world(settings);
        auto headers = world.signed_message();
        change(world, headers);
        auto const seen = world.send(headers);
        for (auto const* line : {"key retrieval failed", "bad signature data"}) world.log.expect(line);
        return seen.verdict;
    };
    auto const broken = [](World&, HeaderList& headers) { headers[2].second = " changed"; };
    auto const missing = [](World& world, HeaderList&) { world.resolver->zone = Zone(); };
    auto const silent = [](World& world, HeaderList&) {
        world.resolver->zone.fail("s._domainkey.example.com");
    };
    CHECK(verdict("", broken) == "accept");
    CHECK(verdict("On-BadSignature reject", broken) == "reject 550 5.7.0 bad DKIM signature data");
    CHECK(verdict("On-BadSignature discard", broken) == "discard");
    CHECK(verdict("", missing) == "accept");
    CHECK(verdict("On-KeyNotFound tempfail", missing) == "tempfail 451 4.7.5 DKIM key retrieval failed");
    CHECK(verdict("", silent) == "tempfail 451 4.7.5 DKIM key retrieval failed");
    CHECK(verdict("On-DNSError accept", silent) == "accept");
    CHECK(verdict("On-Default reject", silent) == "reject 550 5.7.0 DKIM key retrieval failed");
}

TEST_CASE("failing mail is held or sent elsewhere when that is configured") {
    World world("Quarantine yes\nRedirectFailuresTo postmaster@example.com");
    auto headers = world.signed_message();
    headers[2].second = " changed";
    auto const edits = world.send(headers).edits;
    CHECK(edits.contains("quarantine DKIM signature failed to verify\nrcpt- <b@example.net>\nadd "
                         "Original-Recipient: rfc822;b@example.net\n"
                         "rcpt+ <postmaster@example.com>\n"));
}

TEST_CASE("a message without a usable sender is told as malformed") {
    World world;
    auto const seen = world.send({{"Subject", " x"}});
    CHECK(seen.verdict == "accept");
    CHECK(seen.edits ==
          "insert 0 Authentication-Results: us; dkim=permerror (bad message/signature format)\n");
    CHECK(World("IgnoreMalformedMail yes").send({{"Subject", " x"}}).edits.empty());
}

TEST_CASE("a header over MaximumHeaders is a matter of security, at the limit it is not") {
    World world("MaximumHeaders 100");
    HeaderList const at_limit{{"From", " x@example.org"}, {"X", " " + std::string(76, 'x')}};
    CHECK(world.send(at_limit).verdict == "accept");
    HeaderList const over{{"From", " x@example.org"}, {"X", " " + std::string(77, 'x')}};
    CHECK(world.send(over).verdict == "tempfail 451 4.7.0 message header too large");
    CHECK(World("MaximumHeaders 100\nOn-Security quarantine").send(over).edits ==
          "quarantine message header too large\n");
    CHECK(World("MaximumHeaders 100\nOn-Security accept").send(over).verdict == "accept");
}

TEST_CASE("peers pass untouched") {
    World world("PeerList 192.0.2.0/24");
    CHECK(world.send({{"From", " x@example.org"}}).verdict == "accept");
}

TEST_CASE("old signatures are removed from the last to the first, and not signed") {
    World world("RemoveOldSignatures yes\nSignHeaders *,+dkim-signature");
    world.client = {"localhost", "127.0.0.1"};
    auto headers = world.plain;
    headers.insert(headers.begin(), {{"DKIM-Signature", " old1"}, {"DKIM-Signature", " old2"}});
    auto const edits = world.send(headers).edits;
    CHECK(edits.starts_with(
        "change DKIM-Signature 2: \nchange DKIM-Signature 1: \ninsert 0 DKIM-Signature: v=1;"));
    CHECK(edits.contains("h=From:Subject:Date;"));
}

TEST_CASE("several keys give several signatures, the last on top") {
    TempDir files;
    chmod(files.write("r", rsa_key()).c_str(), 0600);
    chmod(files.write("e", ed25519_key()).c_str(), 0600);
    auto const table = files.write("signing", "*@example.com r,e\n");
    World world("KeyTable csl:r=example.com:r:" + files.path("r") + ",e=example.com:e:" + files.path("e") +
                "\nSigningTable refile:" + table);
    world.client = {"localhost", "127.0.0.1"};
    auto const edits = world.send(world.plain).edits;
    CHECK(edits.starts_with("insert 0 DKIM-Signature: v=1; a=rsa-sha256;"));
    CHECK(edits.contains("\ninsert 0 DKIM-Signature: v=1; a=ed25519-sha256;"));
}

TEST_CASE("a broken header is refused with RequiredHeaders") {
    World world("RequiredHeaders yes");
    CHECK(world.send({{"From", " x@example.org"}, {"Date", " d"}, {"Subject", " 1"}, {"subject", " 2"}})
              .verdict == "reject 550 5.0.0 message has multiple Subject fields");
    CHECK(world.send({{"From", " x@example.org"}, {"Date", " d"}, {"Subject", " 1"}}).verdict == "accept");
}

TEST_CASE("messages of one connection do not touch each other, and an aborted one is forgotten") {
    World world;
    Session session(world.generation, {true}, world.log, world.outcomes);
    auto const headers = world.signed_message();
    CHECK(world.send(session, headers).edits.contains("dkim=pass"));
    session.mail_from("<a@example.com>", {}, world.macros);
    session.header("DKIM-Signature", " garbage", world.macros);
    session.abort();
    CHECK(world.send(session, {{"From", " x@example.org"}}).edits.empty());
    CHECK(world.send(session, headers).edits.contains("dkim=pass"));
}

TEST_CASE("what the negotiation asks for follows from the settings") {
    auto const actions = [](std::string_view settings) {
        return negotiation(*World(settings).generation->configuration).actions;
    };
    CHECK(actions("") == 0x111);
    CHECK(actions("KeepAuthResults yes") == 0x101);
    CHECK(actions("CaptureUnknownErrors yes") == 0x131);
    CHECK(actions("RedirectFailuresTo x@example.com") == 0x11d);
    CHECK(negotiation(*World().generation->configuration).wanted_steps == 0x100782); // stock: 0x100702
    CHECK(negotiation(*World("MacroList verified").generation->configuration).macros ==
          std::vector<std::pair<int, std::string>>{{6, "i {verified}"}});
}
