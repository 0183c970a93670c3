// Received-SPF read from honest and forged headers, and made.
#include "common/mail/received_spf.h"
#include "tests/unit/support/catch.h"

#include <string>

using namespace postern;
using mail::make_received_spf;
using mail::read_received_spf;

TEST_CASE("Received-SPF of the policy daemon is read") {
    auto const read =
        read_received_spf(" Pass (mailfrom) identity=mailfrom; client-ip=192.0.2.1; helo=h.example;"
                          "\n\tenvelope-from=a+b=c@d.example; receiver=<UNKNOWN> ");
    REQUIRE(read);
    CHECK(read->result == "pass");
    CHECK(read->comment == "mailfrom");
    CHECK(read->value("identity") == "mailfrom");
    CHECK(read->value("envelope-from") == "a+b=c@d.example");
    CHECK(read->value("receiver") == "<UNKNOWN>");
    CHECK_FALSE(read->value("mechanism"));
    CHECK(read_received_spf("none")->pairs.empty());
    CHECK(read_received_spf("SoftFail (x) Identity=\"mailfrom\"; envelope-from=\"a;b\"@d.example;")
              ->value("envelope-from") == "a;b@d.example");
}

TEST_CASE("a key given twice with two values counts as absent") {
    auto const read = read_received_spf("pass envelope-from=a@x.example; envelope-from=a@y.example");
    REQUIRE(read);
    CHECK_FALSE(read->value("envelope-from"));
}

TEST_CASE("what is no Received-SPF is malformed") {
    for (auto const* value : {"", "passed", "pass (", "pass identity", "pass identity=\"mailfrom", "pass =x",
                              "pass a=b c=d", "pass; (x", "x pass", "pass a=b\"c\"d e"})
        CHECK_FALSE(read_received_spf(value));
}

TEST_CASE("pairs are counted up to their limit") {
    std::string field = "pass a=b";
    for (std::size_t i = 1; i < mail::max_received_spf_pairs; ++i) field += "; a=b";
    CHECK(read_received_spf(field)->pairs.size() == mail::max_received_spf_pairs);
    CHECK_FALSE(read_received_spf(field + "; a=b"));
}

TEST_CASE("a made Received-SPF quotes what could be misread and reads back") {
    mail::ReceivedSpf const field{"pass",
                                  "mailfrom",
                                  {{"identity", "mailfrom"},
                                   {"envelope-from", "x; identity=helo; envelope-from=a@bank.example"},
                                   {"receiver", "<UNKNOWN>"}}};
    CHECK(make_received_spf(field) == "Pass (mailfrom) identity=mailfrom; envelope-from=\"x; identity=helo; "
                                      "envelope-from=a@bank.example\"; "
                                      "receiver=<UNKNOWN>");
    CHECK(read_received_spf(make_received_spf(field)) == field);
    CHECK(make_received_spf({"none", "", {}}) == "None");
}
