// The header section keeps what it was given and finds fields under any spelling of their name.
#include "common/mail/headers.h"
#include "tests/unit/support/catch.h"

using namespace postern;
using mail::HeaderField;
using mail::Headers;

TEST_CASE("a header section keeps every octet of its fields") {
    auto const headers = Headers::parse("Subject: a\r\n\tb\r\nfrom : x@y\r\n\r\nbody: no\r\n");
    REQUIRE(headers);
    REQUIRE(headers->fields().size() == 2);
    CHECK(headers->fields()[0].octets() == "Subject: a\r\n\tb\r\n");
    CHECK(headers->fields()[0].value() == " a\r\n\tb");
    CHECK(headers->fields()[0].unfolded_value() == "a\tb");
    CHECK(headers->fields()[1].octets() == "from : x@y\r\n");
    CHECK(headers->fields()[1].name() == "from");
}

TEST_CASE("a field is found under any case and with a blank before its colon") {
    auto const headers = Headers::parse("FROM: a\nFrom : b\nTo: c\nFrom\t: d");
    REQUIRE(headers);
    CHECK(headers->count("from") == 3);
    CHECK(headers->first("From")->unfolded_value() == "a");
    CHECK(headers->all("From")[2]->unfolded_value() == "d");
    CHECK(headers->first("Date") == nullptr);
}

TEST_CASE("a line that is no header field makes the section malformed") {
    CHECK(Headers::parse("From a@b Sat\nTo: c\n\n")->count("to") == 1);
    for (auto const* text : {"To: c\nno field here\n\n", " leading blank\nTo: c\n\n", ": no name\n\n"}) {
        auto const headers = Headers::parse(text);
        REQUIRE_FALSE(headers);
        CHECK(headers.error().kind == ErrorKind::malformed);
    }
}

TEST_CASE("a field built from name and value reads back as both") {
    HeaderField const field("From", " a@b\n c");
    CHECK(field.name() == "From");
    CHECK(field.value() == " a@b\n c");
    CHECK(HeaderField("no colon at all").value().empty());
}

TEST_CASE("a header section is refused past its limits and taken at them") {
    mail::HeaderLimits const limits{.fields = 2, .octets = 10};
    CHECK(Headers::parse("a: 1\nb: 2\n", limits));
    CHECK_FALSE(Headers::parse("a:1\nb:2\nc:\n", limits));
    CHECK_FALSE(Headers::parse("a: 1\nb: 23\n", limits));
    Headers headers(limits);
    CHECK(headers.add(HeaderField("a", "12345678")));
    CHECK_FALSE(headers.add(HeaderField("b", "")));
}

TEST_CASE("the body begins behind the first empty line") {
    CHECK(mail::body_offset("a: 1\r\n\r\nbody") == 8);
    CHECK(mail::body_offset("a: 1\n\nbody") == 6);
    CHECK(mail::body_offset("a: 1\n") == 5);
}
