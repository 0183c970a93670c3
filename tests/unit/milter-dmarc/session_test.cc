// Whole messages through the filter: what the MTA is told and what is written into the message.
#include "milter-dmarc/session.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"
#include "tests/unit/support/milter_doubles.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <fmt/format.h>

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

// A filter with a zone, and one message through it.
struct Filter {
    test::TestLog log;
    Metrics metrics;
    Outcomes outcomes{metrics};
    test::MapMacros macros{{{"i", "4ABC"}, {"j", "mx.example"}}};
    test::Notes editor;
    std::shared_ptr<test::FakeResolver> resolver = std::make_shared<test::FakeResolver>();
    std::shared_ptr<Configuration> configuration = std::make_shared<Configuration>();
    std::string client = "192.0.2.1";
    std::string sender = "<ann@a.example>";
    unsigned sample = 0;

    explicit Filter(std::string_view settings = {}) {
        auto read = parse_settings(settings, "c");
        REQUIRE(read.problems.empty());
        configuration->settings = std::move(read.settings);
        configuration->suffixes = std::make_shared<mail::PublicSuffixes const>(*mail::PublicSuffixes::load());
        configuration->resolver = resolver;
        resolver->zone.txt("_dmarc.a.example", "v=DMARC1; p=reject")
            .txt("_dmarc.none.example", "v=DMARC1; p=none")
            .txt("_dmarc.quarantine.example", "v=DMARC1; p=quarantine; pct=50")
            .fail("_dmarc.broken.example");
    }

    // What the MTA is told, then what was done to the message.
    std::string run(std::string_view section) {
        Session session(configuration, log, outcomes, [this] { return sample; });
        auto verdict = session.connect({"[192.0.2.1]", client}, macros);
        if (verdict.action == milter::Verdict::Action::next) verdict = session.helo("helo.example", macros);
        if (verdict.action == milter::Verdict::Action::next) verdict = session.mail_from(sender, {}, macros);
        if (verdict.action != milter::Verdict::Action::next) return test::told(verdict);
        auto const headers = mail::Headers::parse(section, {.fields = 10000});
        for (auto const& field : headers->fields())
            CHECK(session.header(field.name(), field.value(), macros).action ==
                  milter::Verdict::Action::next);
        return test::told(session.end_of_message(editor, macros)) + "\n" + editor.text;
    }
};

auto const* const signed_by_author =
    "Authentication-Results: mx.example; dkim=pass header.d=a.example\nFrom: ann@a.example\n";

} // namespace

TEST_CASE("aligned mail passes with OpenDMARC's results field and log line") {
    Filter filter;
    CHECK(filter.run(signed_by_author) == "accept\ninsert 0 Authentication-Results: mx.example; dmarc=pass "
                                          "(p=reject dis=none) header.from=a.example\n");
    CHECK(filter.log.contains("4ABC: a.example pass"));
    CHECK(
        filter.metrics.text().contains("postern_dmarc_messages_total{result=\"pass\",action=\"accept\"} 1"));
}

TEST_CASE("failing mail of a p=reject domain is refused only with RejectFailures") {
    CHECK(Filter().run("From: ann@a.example\n") == "accept\ninsert 0 Authentication-Results: mx.example; "
                                                   "dmarc=fail (p=reject dis=none) header.from=a.example\n");
    CHECK(Filter("RejectFailures yes").run("From: x <ann@a.example>\n") ==
          "reject 550 5.7.1 rejected by DMARC policy for a.example\n");
    CHECK(Filter("RejectFailures yes\nRejectString go away, %s!").run("From: ann@sub.a.example\n") ==
          "reject 550 5.7.1 go away, a.example!\n");
}

TEST_CASE("a domain without record gets dmarc=none") {
    CHECK(Filter("RejectFailures yes").run("From: ann@nobody.example\n") ==
          "accept\ninsert 0 Authentication-Results: mx.example; dmarc=none (p=none dis=none) "
          "header.from=nobody.example\n");
}

TEST_CASE("a DNS that cannot be asked is temperror, and waits with RejectFailures") {
    Filter filter;
    CHECK(
        filter.run("From: ann@broken.example\n") ==
        "accept\ninsert 0 Authentication-Results: mx.example; dmarc=temperror header.from=broken.example\n");
    CHECK(filter.log.contains("4ABC: broken.example temperror"));
    CHECK(Filter("RejectFailures yes").run("From: ann@broken.example\n") ==
          "tempfail 451 4.7.1 the DMARC policy of broken.example cannot be looked up now\n");
}

TEST_CASE("quarantine holds only with both settings and within pct") {
    auto const* const mail = "From: q@quarantine.example\n";
    auto const* const passed = "accept\ninsert 0 Authentication-Results: mx.example; dmarc=fail "
                               "(p=quarantine dis=none) header.from=quarantine.example\n";
    CHECK(Filter("RejectFailures yes").run(mail) == passed);
    CHECK(Filter("HoldQuarantinedMessages yes").run(mail) == passed);
    Filter both("RejectFailures yes\nHoldQuarantinedMessages yes");
    both.sample = 49;
    CHECK(both.run(mail) ==
          "accept\nquarantine quarantined by DMARC policy for quarantine.example\n"
          "insert 0 Authentication-Results: mx.example; dmarc=fail (p=quarantine dis=quarantine) "
          "header.from=quarantine.example\n");
    Filter outside("RejectFailures yes\nHoldQuarantinedMessages yes");
    outside.sample = 50;
    CHECK(outside.run(mail) == passed);
    Filter modern("RejectFailures yes\nHoldQuarantinedMessages yes\nDMARCbisIgnorePct yes");
    modern.sample = 99;
    CHECK(modern.run(mail).contains("quarantine quarantined by"));
}

TEST_CASE("several author domains never pass and never go without a dmarc line") {
    for (auto const* from :
         {"From: ann@a.example, bob@none.example\n", "From: bob@none.example\nFrom: ann@a.example\n",
          "From: ann@a.example\nFrom : bob@none.example\n"}) {
        std::string const mail =
            std::string("Authentication-Results: mx.example; dkim=pass header.d=none.example\n") + from;
        CHECK(Filter().run(mail) == "accept\ninsert 0 Authentication-Results: mx.example; dmarc=permerror "
                                    "(several author domains) header.from=a.example\n");
        CHECK(Filter("RejectFailures yes").run(mail) ==
              "reject 550 5.7.1 rejected by DMARC policy for a.example\n");
        CHECK(Filter("RejectMultiValueFrom yes").run(mail) == "reject\n");
    }
    CHECK(Filter("RejectMultiValueFrom yes")
              .run("Authentication-Results: mx.example; dkim=pass header.d=a.example\n"
                   "From: ann@a.example, bob@A.example\n") ==
          "accept\ninsert 0 Authentication-Results: mx.example; dmarc=pass (p=reject dis=none) "
          "header.from=a.example\n");
}

TEST_CASE("two From fields with one domain are no pass either") {
    CHECK(Filter().run(std::string(signed_by_author) + "From: other@a.example\n") ==
          "accept\ninsert 0 Authentication-Results: mx.example; dmarc=permerror (several author domains) "
          "header.from=a.example\n");
}

TEST_CASE("a From that cannot be read is permerror, and refused with RejectFailures") {
    auto const* const mail = "From: <@x.example:ann@a.example>\n";
    CHECK(Filter().run(mail) ==
          "accept\ninsert 0 Authentication-Results: mx.example; dmarc=permerror (unreadable From)\n");
    CHECK(Filter("RejectFailures yes").run(mail) ==
          "reject 550 5.7.1 the From field cannot be read, so DMARC cannot be checked\n");
    CHECK(Filter("RequiredHeaders yes").run("Date: x\n" + std::string(mail)) == "reject\n");
    CHECK(Filter("RequiredFrom yes").run(mail) == "reject\n");
}

TEST_CASE("an author behind an unreadable From, or behind too many others, is no way past RejectFailures") {
    auto const reject =
        std::string("reject 550 5.7.1 the From field cannot be read, so DMARC cannot be checked\n");
    CHECK(Filter("RejectFailures yes\n").run("From: x@none.example\nFrom: ann@a.example (unclosed\n") ==
          reject);
    auto const five = std::string("a@1.example, a@2.example, a@3.example, a@4.example, a@none.example");
    CHECK(Filter("RejectFailures yes\n").run("From: " + five + "\n").starts_with("accept\n"));
    CHECK(Filter("RejectFailures yes\n").run("From: " + five + ", ann@a.example\n") == reject);
}

TEST_CASE("mail without an author domain gets dmarc=none") {
    CHECK(Filter("RejectFailures yes").run("From: root\n") ==
          "accept\ninsert 0 Authentication-Results: mx.example; dmarc=none\n");
    CHECK(Filter("RequiredFrom yes").run("Subject: x\n") == "reject\n");
}

TEST_CASE("a header section over the limit is no hiding place for a From") {
    std::string mail = signed_by_author;
    for (std::size_t i = 0; i < Session::header_limits.fields - 1; ++i) mail += "To: x\n";
    CHECK(Filter().run(mail).contains("dmarc=permerror"));
}

TEST_CASE("RequiredHeaders refuses what RFC 5322 forbids") {
    Filter filter("RequiredHeaders yes");
    CHECK(filter.run("From: ann@a.example\n") == "reject\n");
    CHECK(filter.log.contains("4ABC: RFC5322 requirement error: not exactly one Date field"));
    CHECK(Filter("RequiredHeaders yes").run("From: ann@a.example\nDate: x\nSubject: a\nSUBJECT: b\n") ==
          "reject\n");
    CHECK(Filter("RequiredHeaders yes")
              .run(std::string(signed_by_author) + "Date: x\n")
              .contains("dmarc=pass"));
}

TEST_CASE("ignored hosts, clients that logged in and ignored domains are passed over") {
    Filter local;
    local.client = "127.0.0.1";
    CHECK(local.run("From: ann@a.example\n") == "accept");
    CHECK(local.log.contains("ignoring connection from [192.0.2.1] [127.0.0.1]"));
    Filter submission; // no address: local submission
    submission.client = "";
    CHECK(submission.run("From: ann@a.example\n") == "accept");
    Filter authenticated("IgnoreAuthenticatedClients yes\nRejectFailures yes");
    CHECK(authenticated.run("From: ann@a.example\n").starts_with("reject"));
    authenticated.macros.values["{auth_authen}"] = "ann";
    CHECK(authenticated.run("From: ann@a.example\n") == "accept");
    CHECK(Filter("IgnoreMailFrom b.example,a.example\nRejectFailures yes").run("From: ann@a.example\n") ==
          "accept\n");
    CHECK(Filter("IgnoreMailFrom a.example\nRejectFailures yes")
              .run("From: ann@a.example, bob@none.example\n") ==
          "reject 550 5.7.1 rejected by DMARC policy for a.example\n");
}

TEST_CASE("extras are written when they are asked for") {
    CHECK(Filter("AuthservID id.example\nAuthservIDWithJobID yes\nSoftwareHeader yes\nCopyFailuresTo "
                 "post@x.example")
              .run("From: ann@a.example\n") ==
          "accept\nrcpt+ <post@x.example>\ninsert 0 Authentication-Results: \"id.example/4ABC\"; "
          "dmarc=fail (p=reject "
          "dis=none) header.from=a.example\ninsert 0 DMARC-Filter: Postern milter-dmarc v" POSTERN_VERSION
          " mx.example 4ABC\n");
}

TEST_CASE("SPF is checked by ourselves only where the header has none") {
    Filter filter("SPFSelfValidate yes");
    int checks = 0;
    filter.configuration->check_spf = [&](Envelope const& envelope, Deadline) {
        ++checks;
        return SpfIdentity{"pass", envelope.sender_domain};
    };
    CHECK(filter.run("From: ann@a.example\n") ==
          "accept\ninsert 0 Authentication-Results: mx.example; spf=pass smtp.mailfrom=a.example\n"
          "insert 0 Authentication-Results: mx.example; dmarc=pass (p=reject dis=none) "
          "header.from=a.example\n");
    CHECK(filter.log.contains("4ABC: SPF(mailfrom): a.example pass"));
    filter.editor.text.clear();
    CHECK(filter.run("Received-SPF: Fail (mailfrom) identity=mailfrom; envelope-from=ann@a.example\nFrom: "
                     "ann@a.example\n") == "accept\ninsert 0 Authentication-Results: mx.example; dmarc=fail "
                                           "(p=reject dis=none) header.from=a.example\n");
    CHECK(checks == 1);
}

TEST_CASE("the history is written before the message goes on, or the message waits") {
    test::TempDir const directory;
    auto const path = directory.path("history");
    CHECK(Filter("HistoryFile " + path).run(signed_by_author).contains("dmarc=pass"));
    CHECK(directory.read("history").contains(
        "from a.example\nmfrom a.example\ndkim a.example - 0\nspf -1\npdomain a.example\n"
        "policy 15\n"));
    auto const size = directory.read("history").size();
    Filter("HistoryFile " + path).run("From: ann@nobody.example\n");
    CHECK(directory.read("history").size() == size);
    Filter("RecordAllMessages yes\nHistoryFile " + path).run("From: ann@nobody.example\n");
    CHECK(directory.read("history").contains("from nobody.example\n"));

    Filter unwritable("HistoryFile " + directory.path("no/dir"));
    CHECK(unwritable.run(signed_by_author) == "tempfail 451 4.7.1 DMARC cannot be checked now\n");
    CHECK(unwritable.log.expect("4ABC: cannot write the history, so the message waits"));
}

TEST_CASE("a message that cannot be changed waits") {
    Filter filter;
    filter.editor.refuses = true;
    CHECK(filter.run(signed_by_author) == "tempfail 451 4.7.1 DMARC cannot be checked now\n");
    CHECK(filter.log.expect("cannot change the message, so it waits"));
}

TEST_CASE("a second message of a connection knows nothing of the first") {
    Filter filter("RejectFailures yes");
    Session session(filter.configuration, filter.log, filter.outcomes, [] { return 0U; });
    CHECK(session.connect({"h", "192.0.2.1"}, filter.macros).action == milter::Verdict::Action::next);
    CHECK(session.mail_from("<ann@a.example>", {}, filter.macros).action == milter::Verdict::Action::next);
    session.header("Authentication-Results", " mx.example; dkim=pass header.d=a.example", filter.macros);
    session.header("From", " ann@a.example", filter.macros);
    CHECK(test::told(session.end_of_message(filter.editor, filter.macros)) == "accept");
    CHECK(session.mail_from("<ann@a.example>", {}, filter.macros).action == milter::Verdict::Action::next);
    session.header("From", " ann@a.example", filter.macros);
    CHECK(test::told(session.end_of_message(filter.editor, filter.macros)) ==
          "reject 550 5.7.1 rejected by DMARC policy for a.example");
}
