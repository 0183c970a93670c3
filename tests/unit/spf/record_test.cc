// The grammar of records: everything that libspf2 lets through or refuses wrongly.
#include "tests/unit/support/catch.h"

#include "common/spf/record.h"

using namespace postern;
using namespace postern::spf;
using namespace std::string_view_literals;

namespace {

std::string error_of(std::string_view text) {
    auto const record = parse_record(text);
    if (!record) CHECK(record.error().kind == ErrorKind::permanent);
    return record ? "no error" : record.error().text;
}
bool is_good(std::string_view text) { return parse_record(text).has_value(); }

} // namespace

TEST_CASE("a record begins with v=spf1 in any case, then a space or the end") {
    CHECK(is_spf_record("v=spf1"));
    CHECK(is_spf_record("V=sPf1 -all"));
    CHECK_FALSE(is_spf_record("v=spf10"));
    CHECK_FALSE(is_spf_record("v=spf1\t-all"));
    CHECK_FALSE(is_spf_record(" v=spf1"));
    CHECK_FALSE(is_spf_record("v=spf"));
    CHECK_FALSE(is_spf_record(""));
}

TEST_CASE("terms come in order with qualifier, mechanism and prefixes") {
    auto const record =
        parse_record("v=spf1 +a/24//64 -MX:mail.example.com ~ip4:192.0.2.0/25  ?ip6:2001:db8::/32 "
                     "include:%{d}.example ptr exists:%{i}.example -all redirect=x.example "
                     "exp=y.example moo.cow-far_out=man:dog/cat ");
    REQUIRE(record.has_value());
    REQUIRE(record->terms.size() == 8);
    CHECK(record->terms[0].mechanism == Mechanism::a);
    CHECK(record->terms[0].prefix4 == 24);
    CHECK(record->terms[0].prefix6 == 64);
    CHECK(record->terms[0].domain.empty());
    CHECK(record->terms[1].qualifier == Qualifier::fail);
    CHECK(record->terms[1].domain.text() == "mail.example.com");
    CHECK(record->terms[2].prefix4 == 25);
    CHECK(record->terms[2].network->to_string() == "192.0.2.0");
    CHECK(record->terms[3].prefix6 == 32);
    CHECK(record->terms[4].mechanism == Mechanism::include);
    CHECK(record->terms[5].mechanism == Mechanism::ptr);
    CHECK(record->terms[7].text == "-all");
    CHECK(record->has_all());
    CHECK(record->redirect->text() == "x.example");
    CHECK(record->exp->text() == "y.example");
}

TEST_CASE("prefixes run from 0 to 32 and 0 to 128, without leading zeros") {
    for (auto const* good :
         {"v=spf1 a/0", "v=spf1 a/32//128", "v=spf1 a//0", "v=spf1 mx/0//0", "v=spf1 ip4:1.2.3.4/0",
          "v=spf1 ip6:::1/0", "v=spf1 ip6:::/128", "v=spf1 a:x.example/8"})
        CHECK(is_good(good));
    CHECK(error_of("v=spf1 a/33") == "Invalid IP4 CIDR length: a/33");
    CHECK(error_of("v=spf1 a//129") == "Invalid IP6 CIDR length: a//129");
    CHECK(error_of("v=spf1 ip4:1.2.3.4/247") == "Invalid IP4 CIDR length: ip4:1.2.3.4/247");
    CHECK(error_of("v=spf1 ip4:1.2.3.4/032") == "Invalid IP4 address: ip4:1.2.3.4/032");
    CHECK(error_of("v=spf1 ip6:::1/129") == "Invalid IP6 CIDR length: ip6:::1/129");
    CHECK(error_of("v=spf1 ip4:1.2.3.4//32") == "Dual CIDR not allowed: ip4:1.2.3.4//32");
    CHECK(error_of("v=spf1 a/99999999999999999999") == "Invalid IP4 CIDR length: a/99999999999999999999");
    CHECK(error_of("v=spf1 exists:x.example/8") == "CIDR not allowed: exists:x.example/8");
    CHECK(error_of("v=spf1 ptr/8") == "CIDR not allowed: ptr/8");
    CHECK(error_of("v=spf1 -all/8") == "CIDR not allowed: -all/8");
    CHECK_FALSE(is_good("v=spf1 a/"));
    CHECK_FALSE(is_good("v=spf1 a/-1"));
}

TEST_CASE("addresses are whole and of their family") {
    CHECK(error_of("v=spf1 ip4:1.2.3.444") == "Invalid IP4 address: ip4:1.2.3.444");
    CHECK(error_of("v=spf1 ip4:1.2.03.4/24") == "Invalid IP4 address: ip4:1.2.03.4/24");
    CHECK(error_of("v=spf1 ip4:1.2.3") == "Invalid IP4 address: ip4:1.2.3");
    CHECK(error_of("v=spf1 ip4:::1") == "Invalid IP4 address: ip4:::1");
    CHECK(error_of("v=spf1 ip4") == "Invalid IP4 address: ip4");
    CHECK(error_of("v=spf1 ip4:") == "Invalid IP4 address: ip4:");
    CHECK(error_of("v=spf1 ip6:1.2.3.4") == "Invalid IP6 address: ip6:1.2.3.4");
    CHECK(error_of("v=spf1 ip6:2001:db8:ZZZZ::") == "Invalid IP6 address: ip6:2001:db8:ZZZZ::");
    CHECK(error_of("v=spf1 ip6:fe80::1%eth0") == "Invalid IP6 address: ip6:fe80::1%eth0");
    CHECK(is_good("v=spf1 ip6:::ffff:1.2.3.4/120"));
    CHECK(error_of("v=spf1 a:1.2.3.4") == "Use the ip4 mechanism for ip4 addresses: a:1.2.3.4");
}

TEST_CASE("domains are present and end in a top label") {
    CHECK(error_of("v=spf1 a:foo-bar") == "Invalid domain found (use FQDN): foo-bar");
    CHECK(error_of("v=spf1 a:example.com:8080") == "Invalid domain found (use FQDN): example.com:8080");
    CHECK(error_of("v=spf1 mx:111.222.33") == "Invalid domain found (use FQDN): 111.222.33");
    CHECK(error_of("v=spf1 a:") == "empty domain:: a:");
    CHECK(error_of("v=spf1 ptr:") == "empty domain:: ptr:");
    CHECK(error_of("v=spf1 include") == "include mechanism missing domain: include");
    CHECK(error_of("v=spf1 include:") == "empty domain:: include:");
    CHECK(error_of("v=spf1 exists") == "implicit exists not allowed: exists");
    CHECK(error_of("v=spf1 exp=-all") == "Invalid domain found (use FQDN): -all");
    CHECK(error_of("v=spf1 exp=") == "exp has empty domain-spec:");
    CHECK(error_of("v=spf1 redirect=") == "redirect has empty domain:");
}

TEST_CASE("mechanisms are known, alone, and without commas") {
    CHECK(error_of("v=spf1 ip4:1.2.3.4 -all moo") == "Unknown mechanism found: moo");
    CHECK(error_of("v=spf1 -all.") == "Unknown mechanism found: -all.");
    CHECK(error_of("v=spf1 redirect:x.example") == "Unknown mechanism found: redirect:x.example");
    CHECK(error_of("v=spf1 =a") == "Unknown qualifier, RFC 4408 para 4.6.1, found in: =a");
    CHECK(error_of("v=spf1 a:mail.example.com,") ==
          "Do not separate mechnisms with commas: a:mail.example.com,");
    CHECK(error_of("v=spf1 -all:3030") ==
          "Invalid all mechanism format - only qualifier allowed with all: -all:3030");
    CHECK_FALSE(is_good("v=spf1 -"));
    CHECK_FALSE(is_good("v=spf1 --all"));
    CHECK_FALSE(is_good("v=spf1 moo.cow/far_out=man:dog/cat"));
    CHECK_FALSE(is_good("v=spf1 1up=foo"));
}

TEST_CASE("exp and redirect stand once, unknown modifiers as often as they like") {
    CHECK(error_of("v=spf1 redirect=a.example redirect=a.example") ==
          "redirect= MUST appear at most once: redirect=a.example");
    CHECK(error_of("v=spf1 exp=a.example EXP=b.example") == "exp= MUST appear at most once: EXP=b.example");
    CHECK(is_good("v=spf1 moo=1 moo=2 default=pass -all"));
    CHECK(error_of("v=spf1 -all foo=%abc") == "invalid-macro-char : %abc");
}

TEST_CASE("control and 8-bit octets and NUL make an error") {
    CHECK_FALSE(is_good("v=spf1 a:ctrl.example.com\rptr -all"));
    CHECK_FALSE(is_good("v=spf1 ip4:192.0.2.5\n include:x.example ~all"));
    CHECK_FALSE(is_good("v=spf1 a:example.com\0.example -all"sv));
    CHECK_FALSE(is_good("v=spf1 mx\0 -all"sv));
    CHECK(error_of("v=spf1 \x80"
                   "a:example.net -all") == "Non-ascii characters found: b'v=spf1 \\x80a:example.net -all'");
}
