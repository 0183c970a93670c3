// The policy record, tag by tag.
#include "milter-dmarc/record.h"
#include "tests/unit/support/catch.h"

#include <string>

using namespace postern::milter_dmarc;
using Verdict = Record::Verdict;

TEST_CASE("a record with every tag is read") {
    auto const record =
        parse_record("v=DMARC1; p=reject; sp=Quarantine; np=NONE; adkim=s; aspf=S; psd=n; t=y; pct=50; "
                     "fo=1:d:s; rua=mailto:a@x.example!10m , https://y.example/z; ruf=mailto:f@x.example");
    REQUIRE(record);
    CHECK(record->verdict == Verdict::usable);
    CHECK(record->p == Policy::reject);
    CHECK(record->sp == Policy::quarantine);
    CHECK(record->np == Policy::none);
    CHECK(record->adkim == Alignment::strict);
    CHECK(record->aspf == Alignment::strict);
    CHECK(record->psd == PublicSuffixFlag::no);
    CHECK(record->testing);
    CHECK(record->pct == 50);
    CHECK(record->fo == "1:d:s");
    CHECK(record->rua == std::vector<std::string>{"mailto:a@x.example", "https://y.example/z"});
    CHECK(record->ruf == std::vector<std::string>{"mailto:f@x.example"});
    CHECK(record->notes.empty());
}

TEST_CASE("only a text that begins with the version tag is a record") {
    for (auto const* text :
         {"v=DMARC1", "v=DMARC1;", "v = DMARC1 ; p=none", "V=DMARC1;p=none", "v\t=\tDMARC1;p=none"})
        CHECK(parse_record(text));
    for (auto const* text :
         {"", " v=DMARC1;p=none", "v=dmarc1;p=none", "v=DMARC2;p=none", "v=DMARC1x;p=none", "v=DMARC1 p=none",
          "p=none; v=DMARC1", "\"v=DMARC1;p=none\"", "vv=DMARC1", "=DMARC1"})
        CHECK_FALSE(parse_record(text));
}

TEST_CASE("bad values fall back to their defaults and leave a note") {
    auto const record = parse_record("v=DMARC1; p=reject; adkim=strict; aspf=x; psd=z; t=yes; pct=101; fo=9; "
                                     "rua=a@x.example; ;; junk; unknown=1");
    REQUIRE(record);
    CHECK(record->verdict == Verdict::usable);
    CHECK(record->adkim == Alignment::relaxed);
    CHECK(record->aspf == Alignment::relaxed);
    CHECK(record->psd == PublicSuffixFlag::unknown);
    CHECK_FALSE(record->testing);
    CHECK(record->pct == 100);
    CHECK(record->fo == "0");
    CHECK(record->rua.empty());
    CHECK(record->notes.size() == 8);
    CHECK(record->notes.back() == "unknown tag ignored: unknown");
}

TEST_CASE("a missing or bad policy becomes monitoring with a report address and nothing without") {
    CHECK(parse_record("v=DMARC1")->verdict == Verdict::unusable);
    CHECK(parse_record("v=DMARC1; p=rej")->verdict == Verdict::unusable);
    CHECK(parse_record("v=DMARC1; p=reject; sp=foo")->verdict == Verdict::unusable);
    auto const record = parse_record("v=DMARC1; p=reject; np=foo; sp=reject; rua=mailto:a@x.example");
    CHECK(record->verdict == Verdict::monitoring);
    CHECK(record->p == Policy::none);
    CHECK_FALSE(record->sp);
}

TEST_CASE("the last of two equal tags counts, in any case") {
    auto const record = parse_record("v=DMARC1; p=none; P=reject");
    CHECK(record->p == Policy::reject);
}

TEST_CASE("a record is read up to its limits") {
    std::string tags = "v=DMARC1";
    for (std::size_t i = 1; i < max_record_tags; ++i) tags += "; x=1";
    CHECK(parse_record(tags + "; p=reject")->p == Policy::reject);
    CHECK(parse_record(tags + "; x=1; p=reject")->verdict == Verdict::unusable);
    std::string const head = "v=DMARC1; p=reject; x=";
    std::string const full = head + std::string(max_record_octets - head.size() - 5, 'x') + ";sp=n";
    CHECK(parse_record(full + "one; rua=mailto:a@b.example")->verdict == Verdict::unusable);
}
