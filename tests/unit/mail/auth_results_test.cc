// Authentication-Results read from honest and forged headers, and made.
#include "common/mail/auth_results.h"
#include "tests/unit/support/catch.h"

#include <string>

using namespace postern;
using mail::authserv_id_of;
using mail::make_auth_results;
using mail::might_claim_authserv_id;
using mail::read_auth_results;

namespace {

std::string shown(std::string_view value) {
    auto const read = read_auth_results(value);
    return read ? make_auth_results(*read, 0) : "malformed: " + read.error().text;
}

} // namespace

TEST_CASE("results that stock milters write are read") {
    auto const read = read_auth_results(" mx.example;\n\tdkim=pass (2048-bit key; secure) header.d=a.example "
                                        "header.i=@a.example header.a=rsa-sha256\n\theader.s=sel "
                                        "header.b=aB/c+dE=;\n\tdkim-atps=neutral");
    REQUIRE(read);
    CHECK(read->authserv_id == "mx.example");
    REQUIRE(read->results.size() == 2);
    CHECK(read->results[0].comment == "2048-bit key; secure");
    CHECK(read->results[0].property("header", "d") == "a.example");
    CHECK(read->results[0].property("header", "i") == "@a.example");
    CHECK(read->results[0].property("header", "b") == "aB/c+dE=");
    CHECK(read->results[1].method == "dkim-atps");
    CHECK(shown("mx.example/4BcD; spf=pass smtp.mailfrom=\"a b\"@c.example") ==
          "\"mx.example/4BcD\"; spf=pass smtp.mailfrom=\"a b@c.example\"");
    CHECK(shown("\"mx.example/4BcD\" 1; DKIM/1 = PASS reason=\"good\" Header . D = A.example") ==
          "\"mx.example/4BcD\"; dkim=pass reason=good header.d=A.example");
}

TEST_CASE("a field without results or without authserv-id is read as that") {
    CHECK(read_auth_results("mx.example; none")->results.empty());
    CHECK(read_auth_results("mx.example")->results.empty());
    CHECK(read_auth_results("mx.example;;")->results.empty());
    auto const office =
        read_auth_results("spf=pass (sender IP is 192.0.2.1) smtp.mailfrom=a.example; dkim=none");
    REQUIRE(office);
    CHECK(office->authserv_id.empty());
    CHECK(office->results.size() == 2);
    CHECK_FALSE(authserv_id_of("spf=pass smtp.mailfrom=a.example"));
    CHECK_FALSE(authserv_id_of("spf = pass"));
}

TEST_CASE("VERP senders and unknown methods do not break a field") {
    auto const read =
        read_auth_results("mx; dara=pass header.x=y; spf=pass smtp.mailfrom=a+b=c.example@v.example");
    REQUIRE(read);
    CHECK(read->results[1].property("smtp", "mailfrom") == "a+b=c.example@v.example");
}

TEST_CASE("a property given twice with two values counts as absent") {
    auto const read = read_auth_results("mx; spf=pass smtp.mailfrom=a.example smtp.mailfrom=b.example");
    REQUIRE(read);
    CHECK_FALSE(read->results[0].property("smtp", "mailfrom"));
    CHECK(read->results[0].properties.size() == 2);
    CHECK(read_auth_results("mx; spf=pass smtp.mailfrom=a smtp.mailfrom=a")
              ->results[0]
              .property("smtp", "mailfrom"));
}

TEST_CASE("what could hide something makes a field malformed") {
    for (auto const* value :
         {"mx; dkim=pass header.d=bank.example(.evil.example", "mx; dkim=pass header.d=\"bank.example",
          "mx; dkim", "mx; dkim=", "mx; =pass", "mx; dkim=pass header", "mx; dkim=pass header.d",
          "mx; dkim=pass header.=x", "mx; dkim=pass header.d=", "mx; dkim=pass )", "mx; dkim=pass\"x\"",
          "mx; dkim=passheader.d=x\\", "mx evil; dkim=pass", "(mx; dkim=pass", "\"mx; dkim=pass", "", " ",
          "; dkim=pass", "mx; none dkim=pass"})
        CHECK(std::string(value) + " -> " + shown(value).substr(0, 9) ==
              std::string(value) + " -> malformed");
}

TEST_CASE("our authserv-id is recognised in fields however broken") {
    for (auto const* value :
         {"mx.example; dkim=pass", "MX.Example/4Bc; none", "(c) mx.example 1; x",
          "mx.example evil; dkim=pass", "mx.example; dkim=pass (", "(mx.example; dkim=pass",
          "\"mx.example; dkim=pass", "\"mx.example\"; dkim=pass", "mx.example",
          "mx.\n example; dkim=pass header.d=mx.example ("})
        CHECK(std::string(value) + (might_claim_authserv_id(value, "mx.example") ? " is" : " is not") ==
              std::string(value) + " is");
    for (auto const* value :
         {"other.example; dkim=pass (", "mx.example.org; dkim=pass",
          "other.example; dkim=pass header.d=mx.example", "spf=pass smtp.helo=mx.example"})
        CHECK_FALSE(might_claim_authserv_id(value, "mx.example"));
}

TEST_CASE("results and properties are counted up to their limits") {
    std::string field = "mx";
    for (std::size_t i = 0; i < mail::max_auth_results; ++i) field += "; dkim=pass";
    CHECK(read_auth_results(field)->results.size() == mail::max_auth_results);
    CHECK_FALSE(read_auth_results(field + "; dkim=pass"));
    field = "mx; dkim=pass";
    for (std::size_t i = 0; i < mail::max_auth_properties; ++i) field += " header.d=x";
    CHECK(read_auth_results(field)->results[0].properties.size() == mail::max_auth_properties);
    CHECK_FALSE(read_auth_results(field + " header.d=x"));
}

TEST_CASE("made fields quote what needs it and fold before the column") {
    mail::AuthResults const results{
        "mx.example/4Bc",
        {{"dmarc", "fail", "p=reject (dis) \\", "no \"luck\"", {{"header", "from", "a.example"}}},
         {"spf", "pass", "", "", {{"smtp", "mailfrom", "jo@a.example"}, {"smtp", "helo", "a b"}}}}};
    CHECK(make_auth_results(results, 0) ==
          "\"mx.example/4Bc\"; dmarc=fail (p=reject \\(dis\\) \\\\) reason=\"no \\\"luck\\\"\" "
          "header.from=a.example; spf=pass smtp.mailfrom=jo@a.example smtp.helo=\"a b\"");
    CHECK(make_auth_results(results, 60) ==
          "\"mx.example/4Bc\"; dmarc=fail\n\t(p=reject \\(dis\\) \\\\) reason=\"no \\\"luck\\\"\"\n\t"
          "header.from=a.example; spf=pass\n\tsmtp.mailfrom=jo@a.example smtp.helo=\"a b\"");
    CHECK(read_auth_results(make_auth_results(results)) == results);
    CHECK(make_auth_results({"mx", {}}) == "mx; none");
}

TEST_CASE("a stranger's text in a made field cannot end its place") {
    mail::AuthResults const results{"mx",
                                    {{"spf",
                                      "fail",
                                      "x) smtp.mailfrom=bank.example (",
                                      "",
                                      {{"smtp", "mailfrom", "\"; dkim=pass\r\n"}}}}};
    auto const read = read_auth_results(make_auth_results(results));
    REQUIRE(read);
    REQUIRE(read->results.size() == 1);
    CHECK(read->results[0].properties.size() == 1);
    CHECK(read->results[0].property("smtp", "mailfrom") == "\"; dkim=pass??");
}
