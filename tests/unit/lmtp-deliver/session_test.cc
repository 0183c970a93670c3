// The LMTP session against transcripts of Dovecot 2.3.19 and the cases they leave out.
#include "tests/unit/lmtp-deliver/session_fixture.h"

#include "common/base/text.h"
#include "common/config/settings.h"

#include "tests/unit/support/catch.h"

#include <cstdlib>

using namespace postern::test;

namespace {

constexpr std::string_view capabilities = "250-mx.example.com\r\n250-8BITMIME\r\n250-CHUNKING\r\n"
                                          "250-ENHANCEDSTATUSCODES\r\n250-PIPELINING\r\n250-SIZE 50000000\r\n"
                                          "250 SMTPUTF8\r\n";
constexpr std::string_view greeting = "220 mx.example.com Dovecot (Debian) ready.\r\n";
constexpr std::string_view bye = "221 2.0.0 Bye\r\n<closed>";

struct Transcript {
    std::string client;
    std::string server;
};

Transcript transcript(std::string const& name) {
    auto const* source = std::getenv("POSTERN_SOURCE");
    REQUIRE(source != nullptr);
    auto const text = postern::config::read_file(std::string(source) + "/tests/data/lmtp-deliver/" + name);
    REQUIRE(text);
    Transcript out;
    for (auto const line : postern::split(*text, '\n')) {
        if (line.starts_with("C: ")) out.client.append(line.substr(3)).append("\r\n");
        if (line.starts_with("S: ")) out.server.append(line.substr(3)).append("\r\n");
    }
    REQUIRE(out.server.ends_with("<closed>\r\n"));
    out.server.resize(out.server.size() - 2);
    return out;
}

std::string one_mail(std::string_view recipient, std::string_view message) {
    return fmt::format(
        "LHLO client.example\r\nMAIL FROM:<bob@example.com>\r\nRCPT TO:<{}>\r\nDATA\r\n{}.\r\n", recipient,
        message);
}

} // namespace

TEST_CASE("Dovecot's transcripts replay whole and in pieces") {
    for (auto const* name : {"basic.txt", "errors.txt", "bdat.txt", "bdat_no_recipient.txt",
                             "duplicate_recipient.txt", "pipelining.txt", "over_quota.txt"}) {
        INFO(name);
        SessionFixture fixture;
        fixture.delivery.full = "quota@example.com";
        auto const [client, server] = transcript(name);
        CHECK(fixture.replay_all(client) == server);
    }
}

TEST_CASE("a message gets the header fields that Dovecot puts in front") {
    SessionFixture fixture;
    fixture.replay_whole(one_mail("alice+Work@example.com", "Subject: a\r\n\r\n..x\r\n"));
    REQUIRE(fixture.delivery.copies.size() == 1);
    auto const& copy = fixture.delivery.copies.front();
    CHECK(copy.user == "alice@example.com");
    CHECK(copy.detail == "Work");
    CHECK(copy.message == "Return-Path: <bob@example.com>\n"
                          "Delivered-To: alice+Work@example.com\n"
                          "Received: from client.example\n"
                          "\tby mx.example.com with LMTP\n"
                          "\tid wTU8KVcxAWviJgAAg+zDdQ\n"
                          "\t(envelope-from <bob@example.com>)\n"
                          "\tfor <alice+Work@example.com>; Sat, 21 Nov 2026 05:51:19 +0000\n"
                          "Subject: a\n\n.x\n");
    CHECK(fixture.delivery.last_size.octets == copy.message.size());
    CHECK(fixture.delivery.last_size.virtual_octets == copy.message.size() + 10);
}

TEST_CASE("several recipients are named in no header field") {
    SessionFixture fixture;
    fixture.peer = {"192.0.2.7", 4711, "192.0.2.1", 24, {}};
    fixture.replay_whole("LHLO [192.0.2.7]\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\n"
                         "RCPT TO:<bob@example.com>\r\nDATA\r\n\r\n.\r\n");
    REQUIRE(fixture.delivery.copies.size() == 2);
    CHECK(fixture.delivery.copies[1].session_id == "wTU8KVcxAWviJgAAg+zDdQ:R2");
    CHECK(fixture.delivery.copies[1].message == "Return-Path: <>\n"
                                                "Received: from [192.0.2.7] ([192.0.2.7])\n"
                                                "\tby mx.example.com with LMTP\n"
                                                "\tid wTU8KVcxAWviJgAAg+zDdQ\n"
                                                "\t(envelope-from <>); Sat, 21 Nov 2026 05:51:19 +0000\n"
                                                "\n");
}

TEST_CASE("Received and Delivered-To are left out when the settings say so") {
    SessionFixture fixture;
    fixture.settings->add_received = false;
    fixture.settings->delivered_to = DeliveredTo::none;
    fixture.replay_whole(one_mail("alice@example.com", "x\r\n"));
    REQUIRE(fixture.delivery.copies.size() == 1);
    CHECK(fixture.delivery.copies[0].message == "Return-Path: <bob@example.com>\nx\n");
}

TEST_CASE("transactions and recipients are numbered in the session id") {
    SessionFixture fixture;
    auto const got =
        fixture.replay_all("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@example.com>\r\n"
                           "RCPT TO:<alice@example.com>\r\nRCPT TO:<alice@EXAMPLE.com>\r\n"
                           "RCPT TO:<bob@example.com>\r\nDATA\r\n.\r\n"
                           "MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n"
                           "DATA\r\n.\r\nQUIT\r\n");
    CHECK(got ==
          std::string(greeting) + std::string(capabilities) +
              "250 2.1.0 OK\r\n550 5.1.1 <nobody@example.com> User doesn't exist: nobody@example.com\r\n"
              "250 2.1.5 OK\r\n250 2.1.5 OK\r\n250 2.1.5 OK\r\n354 OK\r\n"
              "250 2.0.0 <alice@example.com> wTU8KVcxAWviJgAAg+zDdQ:R2 Saved\r\n"
              "250 2.0.0 <alice@EXAMPLE.com> wTU8KVcxAWviJgAAg+zDdQ:R2 Saved\r\n"
              "250 2.0.0 <bob@example.com> wTU8KVcxAWviJgAAg+zDdQ:R4 Saved\r\n"
              "250 2.1.0 OK\r\n250 2.1.5 OK\r\n250 2.1.5 OK\r\n354 OK\r\n"
              "250 2.0.0 <alice@example.com> wTU8KVcxAWviJgAAg+zDdQ:T2 Saved\r\n"
              "250 2.0.0 <bob@example.com> wTU8KVcxAWviJgAAg+zDdQ:T2:R2 Saved\r\n" +
              std::string(bye));
}

TEST_CASE("the same address twice is one copy") {
    SessionFixture fixture;
    auto const [client, server] = transcript("duplicate_recipient.txt");
    CHECK(fixture.replay_whole(client) == server);
    CHECK(fixture.delivery.copies.size() == 1);
    CHECK(fixture.users.asked.size() == 1);
}

TEST_CASE("a user database that is away is 451 and never 550") {
    SessionFixture fixture;
    fixture.users.down = true;
    auto const got =
        fixture.replay_whole("LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nQUIT\r\n");
    CHECK(got == std::string(greeting) + std::string(capabilities) +
                     "250 2.1.0 OK\r\n451 4.3.0 <alice@example.com> Temporary internal error\r\n" +
                     std::string(bye));
    CHECK(fixture.log.expect("user lookup failed: the database is away"));
}

TEST_CASE("a delivery that fails is 451 for its recipients") {
    SessionFixture fixture;
    fixture.delivery.fails = true;
    CHECK(fixture.replay_whole(one_mail("alice@example.com", "x\r\n"))
              .ends_with("354 OK\r\n451 4.3.0 <alice@example.com> Temporary internal error\r\n"));
}

TEST_CASE("a full mailbox is 552, or 452 with quota_full_tempfail, or refused at RCPT") {
    SessionFixture fixture;
    fixture.delivery.full = "alice@example.com";
    CHECK(fixture.replay_whole(one_mail("alice@example.com", "x\r\n"))
              .ends_with("552 5.2.2 <alice@example.com> Quota exceeded (mailbox for user is full)\r\n"));
    fixture.delivery.full_for_now = true;
    CHECK(fixture.replay_whole(one_mail("alice@example.com", "x\r\n"))
              .ends_with("452 4.2.2 <alice@example.com> Quota exceeded (mailbox for user is full)\r\n"));
    fixture.delivery.full_at_rcpt = "bob@example.com";
    CHECK(fixture.replay_whole("MAIL FROM:<>\r\nRCPT TO:<bob@example.com>\r\nDATA\r\n")
              .ends_with("552 5.2.2 <bob@example.com> Quota exceeded (mailbox for user is full)\r\n"
                         "503 5.5.0 No valid recipients\r\n"));
}

TEST_CASE("a spool that cannot be written makes 451 and delivers nothing") {
    SessionFixture fixture;
    fixture.settings->spool = {64, "/nonexistent/spool"};
    CHECK(fixture.replay_whole(one_mail("alice@example.com", std::string(1000, 'x') + "\r\n"))
              .ends_with("451 4.3.0 <alice@example.com> Temporary internal error\r\n"));
    CHECK(fixture.delivery.copies.empty());
}

TEST_CASE("nothing is delivered unless the final dot has arrived") {
    SessionFixture fixture;
    auto const mail = one_mail("alice@example.com", "Subject: a\r\n\r\nx\r\n");
    postern::test::replay_cut_off(
        [&] { return fixture.make(); }, mail,
        [&](std::size_t size) { REQUIRE(fixture.delivery.copies.size() == (size == mail.size() ? 1 : 0)); });
}

TEST_CASE("nothing is delivered unless the last chunk is whole") {
    SessionFixture fixture;
    std::string const mail =
        "MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nBDAT 4\r\na\r\nbBDAT 3 LAST\r\nc\r\n";
    postern::test::replay_cut_off(
        [&] { return fixture.make(); }, mail,
        [&](std::size_t size) { REQUIRE(fixture.delivery.copies.size() == (size == mail.size() ? 1 : 0)); });
    CHECK(fixture.delivery.copies[0].message.ends_with("+0000\na\nbc\n"));
}

TEST_CASE("a message of the largest size is taken and one octet more is not") {
    SessionFixture fixture;
    fixture.settings->max_message_size = 100;
    CHECK(fixture.replay_whole(one_mail("alice@example.com", std::string(98, 'x') + "\r\n"))
              .ends_with(" Saved\r\n"));
    CHECK(fixture.replay_whole(one_mail("alice@example.com", std::string(99, 'x') + "\r\n"))
              .ends_with("354 OK\r\n552 5.3.4 Message size exceeds administrative limit\r\n"));
    CHECK(fixture.replay_whole("MAIL FROM:<a@b> SIZE=100\r\n").ends_with("250 2.1.0 OK\r\n"));
    CHECK(fixture.replay_whole("MAIL FROM:<a@b> SIZE=101\r\n")
              .ends_with("552 5.3.4 Message size exceeds administrative limit\r\n"));
    CHECK(fixture.delivery.copies.size() == 1);
}

TEST_CASE("a chunk past the size limit fails and so do those after it") {
    SessionFixture fixture;
    fixture.settings->max_message_size = 5;
    CHECK(fixture.replay_all(
              "MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nBDAT 6\r\n123456BDAT 1 LAST\r\n7RSET\r\n") ==
          std::string(greeting) +
              "250 2.1.0 OK\r\n250 2.1.5 OK\r\n552 5.3.4 Message size exceeds administrative limit\r\n"
              "503 5.5.0 Previous data chunk failed, issue RSET first\r\n250 2.0.0 OK\r\n");
    CHECK(fixture.delivery.copies.empty());
}

TEST_CASE("the octets of a refused chunk are not taken for commands") {
    SessionFixture fixture;
    CHECK(fixture.replay_all("BDAT 6\r\nQUIT\r\nNOOP\r\n") ==
          std::string(greeting) + "503 5.5.0 MAIL needed first\r\n250 2.0.0 OK\r\n");
    CHECK(fixture.replay_all("BDAT\r\nBDAT x\r\nBDAT -1\r\nBDAT 3 FOO\r\nBDAT 99999999999999999999999\r\n") ==
          std::string(greeting) +
              "501 5.5.4 Invalid chunk size parameter\r\n501 5.5.4 Invalid chunk size parameter\r\n"
              "501 5.5.4 Invalid chunk size parameter\r\n501 5.5.4 Invalid end marker parameter\r\n"
              "501 5.5.4 Invalid chunk size parameter\r\n");
}

TEST_CASE("recipients and DATA cannot come between chunks") {
    SessionFixture fixture;
    CHECK(fixture
              .replay_all("MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nBDAT 1\r\nxDATA\r\n"
                          "RCPT TO:<bob@example.com>\r\n")
              .ends_with("250 2.0.0 Added 1 octets\r\n503 5.5.0 Bad sequence of commands\r\n"
                         "503 5.5.0 Bad sequence of commands\r\n"));
}

TEST_CASE("parameters of MAIL are checked one by one") {
    SessionFixture fixture;
    auto const reply = [&](std::string_view parameters) {
        auto const all = fixture.replay_whole(fmt::format("MAIL FROM:<a@b.c> {}\r\n", parameters));
        return all.substr(greeting.size());
    };
    CHECK(reply("SIZE=1000 BODY=8BITMIME SMTPUTF8") == "250 2.1.0 OK\r\n");
    CHECK(reply("body=7bit") == "250 2.1.0 OK\r\n");
    CHECK(reply("BODY=BINARYMIME") == "555 5.5.4 Unsupported mail BODY type\r\n");
    CHECK(reply("BODY") == "501 5.5.4 Missing BODY= parameter value\r\n");
    CHECK(reply("BODY=8BITMIME BODY=7BIT") == "501 5.5.4 Duplicate BODY= parameter\r\n");
    CHECK(reply("SIZE=x") == "501 5.5.4 Invalid SIZE= parameter value\r\n");
    CHECK(reply("SIZE") == "501 5.5.4 Invalid SIZE= parameter value\r\n");
    CHECK(reply("SMTPUTF8=1") == "555 5.5.4 Unsupported parameters\r\n");
    CHECK(reply("RET=HDRS ENVID=x") == "555 5.5.4 Unsupported parameters\r\n");
    CHECK(reply("AUTH=<>") == "555 5.5.4 Unsupported parameters\r\n");
}

TEST_CASE("recipients beyond the limit are asked to come later") {
    SessionFixture fixture;
    fixture.settings->max_recipients = 1;
    CHECK(fixture.replay_whole("MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nRCPT TO:<bob@example.com>\r\n")
              .ends_with("250 2.1.5 OK\r\n452 4.5.3 Too many recipients\r\n"));
}

TEST_CASE("a user at the concurrency limit is asked to wait until a transaction ends") {
    SessionFixture fixture;
    fixture.settings->user_concurrency = 1;
    auto first = fixture.make();
    postern::test::replay(*first, "MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\n");
    std::string const second = "MAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\n";
    CHECK(fixture.replay_whole(second).ends_with(
        "451 4.3.0 <alice@example.com> Too many concurrent deliveries for user\r\n"));
    first.reset();
    CHECK(fixture.replay_whole(second).ends_with("250 2.1.5 OK\r\n"));
}

TEST_CASE("the eleventh bad command in a row closes the connection") {
    SessionFixture fixture;
    std::string ten;
    for (int i = 0; i < 10; ++i) ten += "FOO\r\n";
    CHECK(fixture.replay_all(ten + "NOOP\r\n").ends_with("500 5.5.1 Unknown command\r\n250 2.0.0 OK\r\n"));
    CHECK(fixture.replay_all(ten + ":::\r\nNOOP\r\n")
              .ends_with("421 4.7.0 mx.example.com Too many invalid commands.\r\n<closed>"));
}

TEST_CASE("LHLO begins anew and a name that is no host name is not repeated") {
    SessionFixture fixture;
    CHECK(fixture.replay_whole("MAIL FROM:<>\r\nLHLO x\r\nRCPT TO:<alice@example.com>\r\n")
              .ends_with("503 5.5.0 MAIL needed first\r\n"));
    fixture.replay_whole("LHLO a(b) c\r\nMAIL FROM:<>\r\nRCPT TO:<alice@example.com>\r\nDATA\r\n.\r\n");
    REQUIRE(fixture.delivery.copies.size() == 1);
    CHECK(fixture.delivery.copies[0].message.contains("\nReceived: from unknown\n"));
}

TEST_CASE("the Message-ID for the log is found in the header only") {
    CHECK(message_id("Subject: x\nMessage-Id: <a@b>\n\n") == "<a@b>");
    CHECK(message_id("message-id:\n <a@b>\n\n") == "<a@b>");
    CHECK(message_id("Subject: x\n\nMessage-ID: <a@b>\n") == "unspecified");
    CHECK(message_id("Message-ID: \x01x\n") == "\\x01x");
}
