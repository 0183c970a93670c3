// From values as honest and forged mail has them.
#include "common/mail/address.h"
#include "tests/unit/support/catch.h"

#include <string>

using namespace postern;
using mail::parse_mailboxes;

namespace {

// "name|local|domain" for each mailbox, or "malformed".
std::string shown(std::string_view value) {
    auto const mailboxes = parse_mailboxes(value);
    if (!mailboxes) return "malformed";
    std::string text;
    for (auto const& each : *mailboxes)
        text += (text.empty() ? "" : " ; ") + each.display_name + "|" + each.local_part + "|" + each.domain;
    return text;
}

} // namespace

TEST_CASE("an author is found in every honest form of From") {
    CHECK(shown("a@example.com") == "|a|example.com");
    CHECK(shown(" <a@example.com>") == "|a|example.com");
    CHECK(shown("Jo Doe <jo.doe@example.com>") == "Jo Doe|jo.doe|example.com");
    CHECK(shown("\"Doe, Jo <x@y>\" <jo@example.com>") == "Doe, Jo <x@y>|jo|example.com");
    CHECK(shown("\"a \\\" b\" <jo@example.com>") == "a \" b|jo|example.com");
    CHECK(shown("jo@example.com (Jo \\) (nested) Doe)") == "|jo|example.com");
    CHECK(shown("(x) Jo (y) <jo@example.com> (z)") == "Jo|jo|example.com");
    CHECK(shown("=?utf-8?q?J=C3=B6?= <jo@example.com>") == "=?utf-8?q?J=C3=B6?=|jo|example.com");
    CHECK(shown("Jo\r\n\t<jo@example.com>") == "Jo|jo|example.com");
    CHECK(shown("\"a@b\"@example.com") == "|a@b|example.com");
    CHECK(shown("J\xc3\xb6 <j\xc3\xb6@b\xc3\xbc.example>") == "J\xc3\xb6|j\xc3\xb6|b\xc3\xbc.example");
    CHECK(shown("<a@[192.0.2.1]>") == "|a|[192.0.2.1]");
    CHECK(shown("a@example.com.") == "|a|example.com.");
}

TEST_CASE("every mailbox of a list counts, never only the first") {
    CHECK(shown("a@x.example, B <b@y.example>") == "|a|x.example ; B|b|y.example");
    CHECK(shown("Staff: a@x.example, b@y.example;") == "|a|x.example ; |b|y.example");
    CHECK(shown("A: a@x.example;, b@y.example") == "|a|x.example ; |b|y.example");
    CHECK(shown("Undisclosed senders:;").empty());
    CHECK(shown("").empty());
    CHECK(shown(", ,a@x.example,") == "|a|x.example");
}

TEST_CASE("common mistakes of honest mail still name their author") {
    CHECK(shown("Doe, Jo <jo@example.com>") == "|Doe| ; Jo|jo|example.com");
    CHECK(shown("jo@example.com <jo@example.com>") == "jo@example.com|jo|example.com");
    CHECK(shown("[My List] Jo <jo@example.com>") == "[My List] Jo|jo|example.com");
    CHECK(shown("Dr. J. Doe <jo@example.com>") == "Dr. J. Doe|jo|example.com");
    CHECK(shown("root") == "|root|");
    CHECK(shown("Cron <root>") == "Cron|root|");
}

TEST_CASE("what readers could disagree about is malformed") {
    for (auto const* value : {"<a@x.example> <b@y.example>",
                              "a@x.example b@y.example",
                              "<a@x.example",
                              "a@x.example>",
                              "<<a@x.example>>",
                              "<a@x.example>> ",
                              "<a@x.example,b@y.example>",
                              "<@x.example:a@y.example>",
                              "<@x.example,@z.example:a@y.example>",
                              "a@x.example@y.example",
                              "a @x.example",
                              "a@ x.example",
                              "a@x.example .y.example",
                              "a(comment)@x.example",
                              "a@(comment)x.example",
                              "\"a <b@y.example>",
                              "(a <b@y.example>",
                              "a) <b@y.example>",
                              "a@x.example;",
                              "x: a@x.example",
                              "x: y: a@x.example;;",
                              ": a@x.example;",
                              "x: a@x.example; b@y.example",
                              "a..b@x.example",
                              ".a@x.example",
                              "a.@x.example",
                              "a@x..example",
                              "a@.x.example",
                              "@x.example",
                              "a@",
                              "<>",
                              "Jo <>",
                              "a\\b@x.example",
                              "<a@[x",
                              "a@[1 2]",
                              "a@[1,2]",
                              "a@x.example\x01",
                              "\"a\" b@x.example"})
        CHECK(std::string(value) + " -> " + shown(value) == std::string(value) + " -> malformed");
    CHECK(shown(std::string("a@x.example\0b", 13)) == "malformed");
}

TEST_CASE("comments may nest sixteen deep and no deeper") {
    CHECK(shown(std::string(16, '(') + std::string(16, ')') + "a@x.example") == "|a|x.example");
    CHECK(shown(std::string(17, '(') + std::string(17, ')') + "a@x.example") == "malformed");
    CHECK(shown(std::string(100000, '(')) == "malformed");
}

TEST_CASE("a list holds a thousand mailboxes and no more") {
    std::string list = "a@x.example";
    for (std::size_t i = 1; i < mail::max_mailboxes; ++i) list += ",a@x.example";
    CHECK(parse_mailboxes(list)->size() == mail::max_mailboxes);
    CHECK_FALSE(parse_mailboxes(list + ",a@x.example"));
}

TEST_CASE("an envelope path gives its address") {
    CHECK(mail::parse_path("<a@x.example>")->address() == "a@x.example");
    CHECK(mail::parse_path("a@x.example")->domain == "x.example");
    CHECK(mail::parse_path("<>")->address().empty());
    CHECK(mail::parse_path("<@r.example:a@x.example>")->address() == "a@x.example");
    CHECK(mail::parse_path("<\"a b\"@x.example>")->local_part == "a b");
    CHECK(mail::parse_path("<postmaster>")->local_part == "postmaster");
    for (auto const* path :
         {"<a@x.example", "<a@x.example> b", "<a b@x.example>", "<a@x@y>", "<@a>", "<a,b@c>"})
        CHECK_FALSE(mail::parse_path(path));
}
