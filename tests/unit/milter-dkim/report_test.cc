// Reports of failed signatures (RFC 6651), and what asks for them.
#include "milter-dkim/report/report.h"

#include "common/net/descriptor.h"
#include "milter-dkim/results/signature_numbers.h"
#include "tests/unit/milter-dkim/session_world.h"

#include <fcntl.h>
#include <sys/file.h>

#include <algorithm>
#include <filesystem>
#include <thread>

using namespace postern;
using namespace postern::milter_dkim;
using namespace postern::test;
using World = SessionWorld;

namespace {

// A sendmail that writes down what it is given.
struct Outbox {
    TempDir dir;
    std::string command = dir.write("sendmail", "#!/bin/sh\necho \"$@\" >\"" + dir.path("arguments") +
                                                    "\"\ncat >\"" + dir.path("message") + "\"\n");
    Outbox() { chmod(command.c_str(), 0700); }
    bool is_empty() const { return !std::filesystem::exists(dir.path("message")); }
    std::string take() {
        auto text = dir.read("message");
        std::filesystem::remove(dir.path("message"));
        return text;
    }
    std::string settings() const {
        return "SendReports yes\nReportAddress \"Mail Admin\" <postmaster@example.org>\nMTACommand " +
               command + "\n";
    }
};

HeaderList failed_message(std::string_view settings = "RequestReports yes") {
    World signer(settings);
    signer.plain.emplace_back("Message-ID", " <1@example.com>");
    auto headers = signer.signed_message();
    headers[2].second = " changed";
    return headers;
}

SignatureResult result_with(int error, SignatureResult::Kind kind = SignatureResult::Kind::fail) {
    SignatureResult result;
    result.error = error;
    result.kind = kind;
    return result;
}

} // namespace

TEST_CASE("a failed signature that asks for it is reported to its domain") {
    Outbox outbox;
    World world(outbox.settings() + "ReportBccAddress us@example.org, them@example.org");
    world.resolver->zone.txt("_report._domainkey.example.com", "ra=dkim-feedback; rp=100; rr=v");
    auto const headers = failed_message();
    CHECK(world.send(headers).verdict == "accept");
    CHECK(outbox.dir.read("arguments") == "-t -fpostmaster@example.org\n");
    auto const text = outbox.take();
    INFO(text);
    CHECK(text.starts_with("From: \"Mail Admin\" <postmaster@example.org>\n"
                           "To: dkim-feedback@example.com\n"
                           "Bcc: us@example.org, them@example.org\n"
                           "Date: "));
    CHECK(text.contains("\nSubject: DKIM failure report for Q1\nMIME-Version: 1.0\n"
                        "Content-Type: multipart/report; report-type=feedback-report;\n"
                        "\tboundary=\"dkimreport/mx.example.com/Q1\"\n\n--dkimreport/mx.example.com/Q1\n"));
    CHECK(text.contains("\nOriginal-Envelope-Id: Q1\nOriginal-Mail-From: a@example.com\n"
                        "Reporting-MTA: mx.example.com\nSource-IP: 192.0.2.7\n"
                        "Message-ID: <1@example.com>\nArrival-Date: "));
    CHECK(text.contains("\nReported-Domain: example.com\nDelivery-Result: other\n"
                        "Feedback-Type: auth-failure\n"
                        "Auth-Failure: signature (signature verification failed)\nDKIM-Failure: signature\n"
                        "DKIM-Domain: example.com\nDKIM-Selector: s\nDKIM-Identity: @example.com\n"
                        "DKIM-Canonicalized-Header: "));
    CHECK(text.contains("\nDKIM-Canonicalized-Body: aGVsbG8NCg==\n\n--dkimreport/mx.example.com/Q1\n"
                        "Content-Type: text/rfc822-headers\n\nDKIM-Signature: v=1;"));
    CHECK(text.ends_with("\nSubject: changed\nDate: Sat, 21 Nov 2026 09:00:00 +0000\n"
                         "Message-ID: <1@example.com>\n\n--dkimreport/mx.example.com/Q1--\n"));
    // A changed body.
    auto body = failed_message();
    body[2].second = " x";
    world.send(body, "other\r\n");
    CHECK(outbox.take().contains("\nAuth-Failure: bodyhash\nDKIM-Failure: bodyhash\n"));
}

TEST_CASE("no report goes where none is wanted") {
    Outbox outbox;
    auto const send = [&](std::string_view record, HeaderList const& headers) {
        World world(outbox.settings());
        if (!record.empty()) world.resolver->zone.txt("_report._domainkey.example.com", record);
        CHECK(world.send(headers).verdict == "accept");
    };
    auto const asking = failed_message();
    send("ra=x; rr=d:s:x:p:o", asking); // only v is what happened
    send("ra=x; rp=0", asking);
    send("", asking);                        // no record
    send("rp=100", asking);                  // nobody to send to
    send("ra=-Cevil", asking);               // an option, not a user
    send("ra=a=20b", asking);                // no dot-atom
    send("ra=x; ra=y", asking);              // no tag list
    send("ra=x", failed_message("Mode sv")); // no r=y
    auto good = asking;
    good[2].second = " x";
    send("ra=x", good);
    CHECK(outbox.is_empty());
    World off("MTACommand " + outbox.command);
    off.resolver->zone.txt("_report._domainkey.example.com", "ra=x");
    off.send(asking);
    CHECK(outbox.is_empty());
    CHECK(off.resolver->questions() == std::vector<std::string>{"s._domainkey.example.com TXT"});
    send("ra=x; rr=all", asking);
    CHECK_FALSE(outbox.is_empty());
}

TEST_CASE("a DNS or a sendmail that fails costs the message nothing") {
    Outbox outbox;
    World world(outbox.settings());
    world.resolver->zone.fail("_report._domainkey.example.com");
    CHECK(world.send(failed_message()).verdict == "accept");
    CHECK(world.log.contains("Q1: no report: "));
    World broken("SendReports yes\nMTACommand /bin/false");
    broken.resolver->zone.txt("_report._domainkey.example.com", "ra=x");
    CHECK(broken.send(failed_message()).verdict == "accept");
    CHECK(broken.log.expect("ended with code 1"));
    World missing("SendReports yes\nMTACommand /nonexistent/sendmail");
    missing.resolver->zone.txt("_report._domainkey.example.com", "ra=x");
    CHECK(missing.send(failed_message()).verdict == "accept");
    CHECK(missing.log.expect("start /nonexistent/sendmail"));
}

TEST_CASE("a reporting record is read within its bounds") {
    auto const record = ReportingRecord::parse("ra=a.b=2Bc@elsewhere; rp=30; ro=V:x; rs=go=20away");
    CHECK(record.local_part == "a.b+c");
    CHECK(record.percent == 30);
    CHECK(record.requested == std::vector<std::string>{"v", "x"});
    CHECK(record.smtp_text == "go away");
    CHECK(ReportingRecord::parse("rp=101").percent == 100);
    CHECK(ReportingRecord::parse("ra=" + std::string(64, 'a')).local_part.size() == 64);
    CHECK(ReportingRecord::parse("ra=" + std::string(65, 'a')).local_part.empty());
    CHECK(ReportingRecord::parse("rs=" + std::string(200, 'a')).smtp_text.size() == 200);
    CHECK(ReportingRecord::parse("rs=" + std::string(201, 'a')).smtp_text.empty());
}

TEST_CASE("each letter of rr= stands for its failures") {
    auto const wants = [](std::string const& letter, SignatureResult const& result) {
        return ReportingRecord::parse("rr=" + letter).wants(result);
    };
    auto const permerror = SignatureResult::Kind::permerror;
    CHECK(wants("v", result_with(signature_error_number("BADSIG"))));
    CHECK_FALSE(wants("d:s:x:p:o", result_with(signature_error_number("BADSIG"))));
    CHECK(wants("d", result_with(signature_error_number("NOKEY"))));
    CHECK(wants("x", result_with(signature_error_number("EXPIRED"), permerror)));
    CHECK_FALSE(wants("s", result_with(signature_error_number("EXPIRED"), permerror)));
    CHECK(wants("o", result_with(signature_error_number("KEYREVOKED"))));
    CHECK(wants("s", result_with(signature_error_number("INVALID_H"), permerror)));
    CHECK(wants("p", result_with(signature_error_number("OK"), SignatureResult::Kind::policy)));
    CHECK(wants("all", result_with(signature_error_number("BADSIG"))));
    CHECK(ReportingRecord::parse("ra=x").wants(result_with(signature_error_number("BADSIG"))));
}

TEST_CASE("at most four reports are being sent at a time, the next is dropped") {
    TempDir dir;
    auto const lock = dir.write("lock", "");
    auto const command = dir.write("sendmail", "#!/bin/sh\necho x >>\"" + dir.path("begun") +
                                                   "\"\nflock -s \"" + lock + "\" true\n");
    chmod(command.c_str(), 0700);
    dir.write("begun", "");
    net::Descriptor held(::open(lock.c_str(), O_RDONLY | O_CLOEXEC));
    REQUIRE(::flock(held.get(), LOCK_EX) == 0);
    Settings settings;
    settings.mta_command = command;
    Reporter const reporter;
    std::vector<std::thread> senders;
    std::vector<int> sent(Reporter::most_at_once, 0);
    for (std::size_t i = 0; i < sent.size(); ++i)
        senders.emplace_back(
            [&, i] { sent[i] = reporter.send(settings, {"a", "a@b.example"}, "text") ? 1 : 2; });
    while (std::ranges::count(dir.read("begun"), 'x') < Reporter::most_at_once) std::this_thread::yield();
    auto const one_more = reporter.send(settings, {"a", "a@b.example"}, "text");
    REQUIRE_FALSE(one_more);
    CHECK(one_more.error().text == "report dropped: others are still being sent");
    held.reset();
    for (auto& each : senders) each.join();
    CHECK(sent == std::vector<int>(Reporter::most_at_once, 1));
    CHECK(reporter.send(settings, {"a", "a@b.example"}, "text"));
}
