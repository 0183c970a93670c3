// --explain: the questions and their answers, the signatures, and what is done.
#include "milter-dkim/explain/explain.h"

#include "tests/unit/milter-dkim/session_world.h"

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using World = SessionWorld;

namespace {

explain::Case case_of(World const& world, HeaderList headers, Envelope envelope) {
    RehearsedMessage message;
    message.headers = std::move(headers);
    for (std::size_t i = 0; i < message.headers.size(); ++i) message.lines.push_back(i + 1);
    message.body = "hello\r\n";
    return {"m.eml", world.generation, std::move(message), std::move(envelope)};
}

Envelope from_us() {
    Envelope envelope;
    envelope.host_name = "mx.example.com";
    envelope.mail_from = "a@example.com";
    return envelope;
}

Envelope from_elsewhere() {
    auto envelope = from_us();
    envelope.client_name = "mail.example.org";
    envelope.client_address = "192.0.2.7";
    return envelope;
}

} // namespace

TEST_CASE("mail of ours is explained from the question who sent it to the signature that it gets") {
    World world("OversignHeaders From");
    auto const text = explain::explanation(
        case_of(world, {{"Received", " x"}, {"From", " a@example.com"}, {"Subject", " x"}}, from_us()));
    INFO(text);
    for (auto const* line :
         {"  client          localhost [127.0.0.1], not logged in\n",
          "  InternalHosts   is localhost or 127.0.0.1 in it? yes (127.0.0.1, ::1)\n",
          "  comes from us?  yes\n", "  Domain          is example.com in it? yes (example.com)\n",
          "  so              it is signed, 1 signature\n",
          "  1.              d=example.com s=s key: RSA, 1024 bits\n",
          "    covers        From, Subject, and that there is no other From\n",
          "    leaves out    Received\n",
          "  answer          the message goes on, at the end of the message\n"})
        CHECK(text.contains(line));
    CHECK(text.contains("  + DKIM-Signature: v=1; a=rsa-sha256;"));
}

TEST_CASE("mail from elsewhere is explained with each signature, its key and its result") {
    World world;
    auto headers = world.signed_message();
    headers.insert(headers.begin(), {"Authentication-Results", " us; dkim=pass"});
    headers.insert(headers.begin(), {"DKIM-Signature", " v=1; garbage"});
    auto const text = explain::explanation(case_of(world, headers, from_elsewhere()));
    INFO(text);
    for (auto const* line :
         {"  InternalHosts   is mail.example.org or 192.0.2.7 in it? no (127.0.0.1, ::1)\n",
          "  comes from us?  no\n", "  so              it is verified\n",
          "    result        permerror: not a tag list\n", "    asks for      s._domainkey.example.com TXT\n",
          "    its key       RSA, 1024 bits, unprotected by DNSSEC\n", "    result        pass\n",
          "  - Authentication-Results number 1 from the top\n",
          "  notice          (unknown-jobid): external host mail.example.org attempted to send as"})
        CHECK(text.contains(line));
    CHECK(text.contains("  + Authentication-Results: us; dkim=permerror;\n"));
}

TEST_CASE("a changed body, a silent DNS and a key that is not there are told apart") {
    World world;
    auto const headers = world.signed_message();
    auto changed = case_of(world, headers, from_elsewhere());
    changed.message.body = "other\r\n";
    CHECK(explain::explanation(changed).contains(
        "fail: signature verification failed; the body was changed\n"));
    world.resolver->zone.fail("s._domainkey.example.com");
    auto const silent = explain::explanation(case_of(world, headers, from_elsewhere()));
    CHECK(silent.contains("    result        temperror: "));
    CHECK(silent.contains("put off: 451 4.7.5 DKIM key retrieval failed, at the end of the message\n"));
    world.resolver->zone = Zone();
    CHECK(explain::explanation(case_of(world, headers, from_elsewhere()))
              .contains("fail: key not found in DNS\n"));
}

TEST_CASE("a signature that cannot hold asks for no key") {
    World world;
    auto headers = world.signed_message();
    headers[0].second = replace_all(headers[0].second, "v=1;", "v=1; x=1;");
    auto const text = explain::explanation(case_of(world, headers, from_elsewhere()));
    CHECK(text.contains("permerror: signature timestamp order error\n"));
    CHECK_FALSE(text.contains("asks for"));
}

TEST_CASE("rows of the tables are shown with their place, and never a key") {
    World world;
    TempDir dir;
    auto const pem = dir.write("k", rsa_key());
    chmod(pem.c_str(), 0600);
    auto const keys =
        dir.write("keys", "one example.com:sel:" + pem + "\ntwo example.com:two:" + "MIICsecret\n");
    auto const senders = dir.write("senders", "a@example.com one\n*@example.com two\n");
    auto made = configure("KeyTable " + keys + "\nSigningTable refile:" + senders + "\nRequireSafeKeys no\n",
                          world.log);
    world.log.expect("key data is not secure");
    world.generation->configuration = made.configuration;
    auto const text = explain::explanation(case_of(world, world.plain, from_us()));
    INFO(text);
    CHECK(text.contains("\"a@example.com\" names one (" + senders + ":1)"));
    CHECK(text.contains("\"one\": d=example.com s=sel key " + pem.substr(0, 10)));
    CHECK(text.contains("MultipleSignatures is no"));
    CHECK_FALSE(text.contains("MIICsecret"));
}

TEST_CASE("the explanation's end is what the decision says, whoever sends") {
    World world("ExemptDomains exempt.example\nDontSignMailTo csl:list@example.net\nSubDomains yes\nPeerList "
                "198.51.100.0/24");
    for (auto const* from :
         {" a@example.com", " a@sub.example.com", " a@exempt.example", " a@other.example", " nobody"})
        for (auto const* address : {"127.0.0.1", "192.0.2.7", "198.51.100.1"})
            for (auto const* recipient : {"b@example.net", "list@example.net"}) {
                auto envelope = from_elsewhere();
                envelope.client_address = address;
                envelope.recipients = {recipient};
                auto const about = case_of(world, {{"From", from}}, envelope);
                auto action = decide(*world.generation->configuration, about.facts()).action;
                if (envelope.client_address == "198.51.100.1") action = Decision::Action::pass; // a peer
                auto const text = explain::explanation(about);
                CHECK(text.contains("it is signed") == (action == Decision::Action::sign));
                CHECK(text.contains("it is verified") == (action == Decision::Action::verify));
                CHECK(text.contains("\n  answer  "));
            }
}

TEST_CASE("scripts that may decide otherwise are named, and what they decide is told") {
    TempDir dir;
    auto const script = dir.write("s", "odkim.set_result(ctx, SMFIS_DISCARD)");
    World world("SetupPolicyScript " + script + "\nFinalPolicyScript " + script);
    auto const text = explain::explanation(case_of(world, world.plain, from_us()));
    INFO(text);
    for (auto const* name : {"SetupPolicyScript ", "FinalPolicyScript "})
        CHECK(text.contains("\n  " + std::string(name) + script + " "));
    CHECK_FALSE(text.contains("ScreenPolicyScript"));
    CHECK(text.contains("  answer          the message is thrown away"));
    World const without;
    CHECK_FALSE(explain::explanation(case_of(without, without.plain, from_us())).contains("PolicyScript"));
}

TEST_CASE("a page folds long rows and shows no control octets") {
    explain::Page page;
    page.title("Title");
    page.row("label", std::string(60, 'a') + " " + std::string(60, 'b') + "\x1b[31m");
    CHECK(page.text() == "Title\n  label           " + std::string(60, 'a') + "\n" + std::string(18, ' ') +
                             std::string(60, 'b') + "\\x1b[31m\n");
    CHECK(explain::counted(1, "octet") == "1 octet");
    CHECK(explain::counted(0, "octet") == "0 octets");
}
