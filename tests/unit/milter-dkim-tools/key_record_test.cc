// Key records: opendkim-genkey's file octet for octet, and what a zone file must have escaped.
#include "milter-dkim/tools/key_record.h"

#include "tests/unit/support/catch.h"

using namespace postern::milter_dkim::tools;

TEST_CASE("a plain record has the octets of opendkim-genkey") {
    KeyRecord record;
    record.public_key = std::string(392, 'k');
    CHECK(zone_entry(record, "s1", "example.com", false) ==
          "s1._domainkey\tIN\tTXT\t( \"v=DKIM1; h=sha256; k=rsa; \"\n\t  \"p=" + std::string(250, 'k') +
              "\"\n\t  \"" + std::string(142, 'k') + "\" )  ; ----- DKIM key s1 for example.com\n");
}

TEST_CASE("every tag stands where opendkim-genkey puts it") {
    KeyRecord record;
    record.note = "hello there";
    record.hash_algorithms = "sha1:sha256";
    record.test_mode = record.no_subdomains = record.mail_only = true;
    record.public_key = "abc";
    CHECK(zone_entry(record, "s2", "example.com", true) ==
          "s2._domainkey.example.com.\tIN\tTXT\t( \"v=DKIM1; n=\\\"hello there\\\"; h=sha1:sha256; k=rsa; "
          "t=y:s; s=email; \"\n\t  \"p=abc\" )  ; ----- DKIM key s2 for example.com\n");
}

TEST_CASE("without a domain there is no comment") {
    KeyRecord record;
    record.public_key = "abc";
    CHECK(zone_entry(record, "s", "", false) ==
          "s._domainkey\tIN\tTXT\t( \"v=DKIM1; h=sha256; k=rsa; \"\n\t  \"p=abc\" ) \n");
}

TEST_CASE("a key that fills its pieces exactly leaves no empty string") {
    KeyRecord record;
    record.public_key = std::string(500, 'k');
    CHECK(zone_entry(record, "s", "", false).find("\"\"") == std::string::npos);
}

TEST_CASE("a note cannot end its tag, its string or the line") {
    KeyRecord record;
    record.note = "a;b\"c\\d\ne";
    CHECK(record.text() == "v=DKIM1; n=\"a=3Bb=22c=5Cd=0Ae\"; h=sha256; k=rsa; p=");
}

TEST_CASE("a long note is split into strings of at most 255 octets") {
    KeyRecord record;
    record.note = std::string(300, 'n');
    auto const entry = zone_entry(record, "s", "", false);
    CHECK(entry.find("\"v=DKIM1; n=\\\"" + std::string(243, 'n') + "\"\n\t  \"" + std::string(57, 'n')) !=
          std::string::npos);
}

TEST_CASE("TXT strings are cut at 255 octets and one past it") {
    CHECK(txt_strings(std::string(255, 'x')).size() == 1);
    auto const two = txt_strings(std::string(256, 'x'));
    REQUIRE(two.size() == 2);
    CHECK(two[1] == "x");
    CHECK(txt_strings("") == std::vector<std::string>{""});
}

TEST_CASE("a revoked record keeps its type and has an empty key") {
    CHECK(revoked_record(KeyType::rsa) == "v=DKIM1; k=rsa; p=");
    CHECK(revoked_record(KeyType::ed25519) == "v=DKIM1; k=ed25519; p=");
}

TEST_CASE("selectors are labels and nothing else") {
    for (auto const* good : {"mail", "202611", "2026-11_b", "a.b"}) CHECK(check_selector(good));
    for (auto const* bad : {"", ".", "a..b", "../x", "a b", "a\n", "a;", "*"})
        CHECK_FALSE(check_selector(bad));
    CHECK(check_selector(std::string(63, 'a')));
    CHECK_FALSE(check_selector(std::string(64, 'a')));
}
