// Sign or verify, in OpenDKIM's order and words.
#include "milter-dkim/decide/decision.h"

#include "tests/unit/milter-dkim/support.h"
#include "tests/unit/support/catch.h"

#include <sys/stat.h>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using Action = Decision::Action;

namespace {

class World {
  public:
    explicit World(std::string_view text = {}) {
        auto const key = dir_.write("k", rsa_key());
        chmod(key.c_str(), 0600);
        made_ = configure("KeyFile " + key + "\nSelector s\nRequireSafeKeys no\n" + std::string(text), log_);
        INFO(made_.problems);
        REQUIRE(made_.configuration);
        log_.expect("key data is not secure");
    }
    Decision decide(Facts const& facts) const {
        return milter_dkim::decide(*made_.configuration, facts.get());
    }

  private:
    TempDir dir_;
    TestLog log_;
    Made made_;
};

Facts from(std::string_view value) {
    Facts facts;
    facts.headers[0].second = std::string(value);
    return facts;
}

Facts local(std::string_view sender = " alice@example.com") {
    auto facts = from(sender);
    facts.client_name = "localhost";
    facts.client_address = "127.0.0.1";
    return facts;
}

} // namespace

TEST_CASE("mail of our domain is signed for internal and authenticated clients, and verified for others") {
    World const world("Domain example.com");
    auto const signed_here = world.decide(local());
    CHECK(signed_here.action == Action::sign);
    REQUIRE(signed_here.requests.size() == 1);
    CHECK(signed_here.requests[0].domain == "example.com");
    CHECK(signed_here.requests[0].selector == "s");
    CHECK(signed_here.requests[0].identity.empty());
    CHECK(signed_here.internal);
    Facts authenticated;
    authenticated.macros["{auth_type}"] = "PLAIN";
    CHECK(world.decide(authenticated).action == Action::sign);
    authenticated.macros["{auth_type}"] = "";
    CHECK(world.decide(authenticated).action == Action::verify);
    auto const stranger = world.decide(Facts());
    CHECK(stranger.action == Action::verify);
    CHECK(lines_of(stranger) == "client.example.org [192.0.2.7] not internal\nnot authenticated\n"
                                "external host client.example.org attempted to send as example.com\n");
    CHECK(stranger.lines[2].level == LogLevel::notice);
    CHECK_FALSE(stranger.lines[2].why);
}

TEST_CASE("mail of other domains is verified, and the log says why") {
    World const world("Domain example.com");
    auto const other = world.decide(local(" bob@sub.example.com"));
    CHECK(other.action == Action::verify);
    CHECK(lines_of(other) == "no signing domain match for 'sub.example.com'\n"
                             "no signing subdomain match for 'sub.example.com'\n");
}

TEST_CASE("SubDomains signs as the parent with the parent as identity") {
    World const world("Domain example.com\nSubDomains yes");
    auto const made = world.decide(local(" bob@a.b.example.com"));
    CHECK(made.action == Action::sign);
    CHECK(made.requests[0].domain == "example.com");
    CHECK(made.requests[0].identity == "@example.com");
    CHECK(World("Domain *").decide(local(" x@any.example")).requests[0].domain == "any.example");
}

TEST_CASE("the roles that Mode leaves out let mail pass untouched") {
    CHECK(World("Domain example.com\nMode v").decide(local()).action == Action::pass);
    CHECK(World("Domain example.com\nMode s").decide(Facts()).action == Action::pass);
    CHECK(World("Domain example.com\nMode v").decide(Facts()).action == Action::verify);
}

TEST_CASE("an MTA name or a macro marks mail as ours") {
    World const mta("Domain example.com\nMTA MSA");
    Facts facts;
    facts.macros["{daemon_name}"] = "MSA";
    CHECK(mta.decide(facts).action == Action::sign);
    facts.macros["{daemon_name}"] = "smtpd";
    CHECK(lines_of(mta.decide(facts)).starts_with("no MTA name match (host=mx.example.com, MTA=smtpd)\n"));
    World const macros("Domain example.com\nMacroList csl:verified=yes|sure,anything");
    CHECK(lines_of(macros.decide(Facts())).starts_with("no macros match\n"));
    facts.macros["{verified}"] = "sure";
    CHECK(macros.decide(facts).action == Action::sign);
    facts.macros["{verified}"] = "no";
    CHECK(macros.decide(facts).action == Action::verify);
    facts.macros["{anything}"] = "";
    CHECK(macros.decide(facts).action == Action::sign);
}

TEST_CASE("exempt domains and recipients who want no signatures pass untouched") {
    World const world("Domain example.com\nExemptDomains example.org\nDontSignMailTo csl:list@example.net");
    CHECK(world.decide(from(" x@example.org")).action == Action::pass);
    auto facts = local();
    facts.recipients = {"bob@example.net", "LIST@example.net"};
    auto const made = world.decide(facts);
    CHECK(made.action == Action::pass);
    CHECK(lines_of(made) == "skipping signing of mail to 'LIST@example.net'\n");
}

TEST_CASE("strangers in the ExternalIgnoreList are not told of") {
    World const world("Domain example.com\nExternalIgnoreList 192.0.2.0/24");
    CHECK_FALSE(lines_of(world.decide(Facts())).contains("attempted"));
}

TEST_CASE("a message without a usable sender is malformed") {
    World const world("Domain example.com");
    Facts none;
    none.headers.erase(none.headers.begin());
    CHECK(world.decide(none).action == Action::malformed);
    CHECK(lines_of(world.decide(none)) == "can't determine message sender; accepting\n");
    CHECK(world.decide(from("  \n\t")).action == Action::malformed);
    CHECK(lines_of(world.decide(from(" nobody"))) == "can't parse From: header value 'nobody'\n");
    CHECK(World("Mode v").decide(from(" nobody")).action == Action::malformed);
    CHECK(World("Mode v").decide(none).action == Action::malformed);
    CHECK(World("Mode v\nWeakSyntaxChecks yes").decide(from(" nobody")).action == Action::verify);
    CHECK(World("Mode s").decide(from(" a@example.org")).action == Action::pass);
}

TEST_CASE("the sender is found in odd From fields as OpenDKIM finds it") {
    World const world("Domain example.com");
    for (auto const* value :
         {" alice@example.com", " \"Doe, A.\" <alice@example.com>", " alice@example.com (Alice)",
          " <alice@EXAMPLE.com>", " Alice @ Home <alice@example.com>",
          " A <alice@example.com>, B <b@example.org>", " \"unclosed <alice@example.com>"}) {
        INFO(value);
        CHECK(world.decide(local(value)).action == Action::sign);
    }
}

TEST_CASE("SenderHeaders and SenderMacro choose another sender") {
    World const world("Domain example.com\nSenderHeaders Sender,From\nSenderMacro {author}");
    auto facts = local(" x@example.org");
    CHECK(world.decide(facts).action == Action::verify);
    facts.headers.emplace_back("Sender", " y@example.com");
    CHECK(world.decide(facts).action == Action::sign);
    facts.macros["{author}"] = "z@example.org";
    CHECK(world.decide(facts).action == Action::verify);
}

TEST_CASE("a table hit whose key does not work is a temporary failure, never unsigned mail") {
    World const world("KeyTable csl:k=example.com:s:/nonexistent/key\nSigningTable csl:example.com=k");
    auto const made = world.decide(local());
    CHECK(made.action == Action::tempfail);
    CHECK(made.requests.empty());
    CHECK(lines_of(made).starts_with("error loading key 'k'\n"));
    CHECK(lines_of(world.decide(local(" x@example.org"))) == "no signing table match for 'x@example.org'\n");
    World const unknown("KeyTable csl:k=example.com:s:/x\nSigningTable csl:example.com=other");
    CHECK(unknown.decide(local()).action == Action::tempfail);
    CHECK(lines_of(unknown.decide(local())).starts_with("signing table references unknown key 'other'\n"));
}

TEST_CASE("BodyLengthDB is asked for a recipient's address in OpenDKIM's forms") {
    auto const wants = [](std::string const& row, std::string const& recipient) {
        World const world("Domain example.com\nBodyLengthDB csl:" + row);
        auto facts = local();
        facts.recipients = {"other@elsewhere.test", recipient};
        auto const made = world.decide(facts);
        CHECK(made.action == Action::sign);
        CHECK(
            lines_of(made) ==
            (made.tells_length ? "BodyLengthDB matched " + recipient + ", signing with l= requested\n" : ""));
        return made.tells_length;
    };
    for (auto const* row : {"u@a.b.example", "*@a.b.example", "u@.b.example", "*@.b.example", "u@.example",
                            "*@.example", "u@*"})
        CHECK(wants(row, "u@a.b.example"));
    for (auto const* row : {"a.b.example", ".b.example", "v@*", "u@b.example"})
        CHECK_FALSE(wants(row, "u@a.b.example"));
    CHECK_FALSE(wants("nobody", "u"));
}

TEST_CASE("ATPSDomains chooses whose mail names the author's domain") {
    World const world("Domain example.com,example.org\nATPSDomains example.com");
    CHECK(world.decide(local()).names_third_party);
    CHECK_FALSE(world.decide(local(" a@example.org")).names_third_party);
}

TEST_CASE("SenderHeaders takes any data set") {
    World const world("Domain example.com\nSenderHeaders csl:Sender,From");
    auto facts = local(" x@example.org");
    facts.headers.emplace_back("Sender", " y@example.com");
    CHECK(world.decide(facts).action == Action::sign);
}
