// The lines of the auth protocols.
#include "auth-socket/protocol.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::auth_socket;

TEST_CASE("escaping and unescaping give the same octets back") {
    std::string all;
    for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
    CHECK(tab_unescape(tab_escape(all)) == all);
    CHECK(tab_escape(std::string_view("a\0b\001c\td\re\nf", 11)) == "a\0010b\0011c\001td\001re\001nf");
    CHECK(tab_unescape("x\001y\001") == "xy");
}

TEST_CASE("a line may be as long as the limit and not one octet longer") {
    for (std::size_t const extra : {0, 1}) {
        LineDecoder decoder(16);
        decoder.feed(std::string(15 + extra, 'a') + "\n");
        auto const line = decoder.next();
        CHECK(line.has_value() == (extra == 0));
    }
    LineDecoder unfinished(16);
    unfinished.feed(std::string(15, 'a'));
    CHECK(unfinished.next().has_value());
    unfinished.feed("a");
    CHECK_FALSE(unfinished.next().has_value());
}

TEST_CASE("many lines in one piece come out one by one") {
    LineDecoder decoder(16);
    decoder.feed("one\ntwo\n\nfo");
    CHECK(decoder.next().value() == "one");
    CHECK(decoder.next().value() == "two");
    CHECK(decoder.next().value() == "");
    CHECK_FALSE(decoder.next().value().has_value());
    decoder.feed("ur\n");
    CHECK(decoder.next().value() == "four");
}

TEST_CASE("request ids are 1 to 4294967295 with leading zeros allowed") {
    CHECK(request_id("007") == 7U);
    CHECK(request_id("4294967295") == 4294967295U);
    for (auto const* bad : {"0", "4294967296", "-1", "", "1x", " 1"}) CHECK_FALSE(request_id(bad));
    CHECK(any_id("0") == 0U);
}

TEST_CASE("AUTH gives its fields, and unknown and unreadable ones are left out") {
    auto const command = auth_command(line_fields("AUTH\t5\tplain\tservice=smtp\tnologin\tlip=127.0.0.1\trip="
                                                  "not-an-ip\tlport=25\trport=99999\tsecured=tls"
                                                  "\tsession=a\001tb\tfoo\tbar=baz\tno-penalty\tresp=AA=="),
                                      1);
    REQUIRE(command);
    CHECK(command->id == 5);
    CHECK(command->mechanism == "PLAIN");
    CHECK(command->client.service == "smtp");
    CHECK(command->client.local_ip == "127.0.0.1");
    CHECK(command->client.remote_ip.empty());
    CHECK(command->client.local_port == "25");
    CHECK(command->client.remote_port.empty());
    CHECK(command->client.session == "a\tb");
    CHECK(command->client.secured);
    CHECK(command->client.secured_by_tls);
    CHECK(command->client.no_penalty);
    CHECK_FALSE(command->client.final_response_ok);
    CHECK(command->response == "AA==");
}

TEST_CASE(
    "an empty resp= is none below minor 2, an empty response from 2 on, and resp== always an empty one") {
    auto const response = [](char const* field, unsigned minor) {
        return auth_command(line_fields("AUTH\t1\tPLAIN\tservice=smtp\t" + std::string(field)), minor)
            ->response;
    };
    CHECK(response("resp=", 0) == std::nullopt);
    CHECK(response("resp=", 1) == std::nullopt);
    CHECK(response("resp=", 2) == "");
    CHECK(response("resp==", 0) == "");
    CHECK(response("resp==", 2) == "");
}

TEST_CASE("AUTH is malformed without a service, with a bad id, and with fields after resp=") {
    for (auto const* line : {"AUTH", "AUTH\t1", "AUTH\t1\tPLAIN", "AUTH\t0\tPLAIN\tservice=x",
                             "AUTH\tx\tPLAIN\tservice=x", "AUTH\t1\tPLAIN\tservice=x\tresp=\tsecured"}) {
        INFO(line);
        auto const command = auth_command(line_fields(line), 1);
        REQUIRE_FALSE(command);
        CHECK(command.error().kind == ErrorKind::malformed);
    }
    CHECK(auth_command(line_fields("AUTH\t1\tPLAIN\tprotocol=imap"), 1)->client.service == "imap");
    CHECK(
        auth_command(line_fields("AUTH\t1\tPLAIN\tservice="), 1)); // Postfix with an empty smtpd_sasl_service
}

TEST_CASE("only major version 1 is taken") {
    CHECK(version_minor(line_fields("VERSION\t1\t0")).value() == 0);
    CHECK(version_minor(line_fields("VERSION\t1\t4")).value() == 4);
    for (auto const* line : {"VERSION\t2\t0", "VERSION\t1", "VERSION", "CPID\t1\t0", "VERSION\t1\tx", ""})
        CHECK_FALSE(version_minor(line_fields(line)));
}

TEST_CASE("lines are made with escaped values and bare names") {
    Fields fields;
    fields.set("home", "/a\tb");
    fields.set("nologin", std::nullopt);
    fields.set("home", "/c\nd");
    CHECK(Line("OK", 7).add("user", "x").add(fields).text() == "OK\t7\tuser=x\thome=/c\001nd\tnologin\n");
}
