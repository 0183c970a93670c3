// Domain names in the form that is compared.
#include "common/mail/domain.h"
#include "tests/unit/support/catch.h"

#include <string>

using namespace postern::mail;

TEST_CASE("a domain is normalised to lower-case A-labels without a final dot") {
    CHECK(normal_domain("EXAMPLE.com.") == "example.com");
    CHECK(normal_domain("B\xc3\xbc"
                        "cher.example") == "xn--bcher-kva.example");
    CHECK(normal_domain("B\xc3\x9c"
                        "CHER.example") == "xn--bcher-kva.example");
    CHECK(normal_domain("fa\xc3\x9f.example") == "xn--fa-hia.example");
    CHECK(normal_domain("_dmarc.a-b.example") == "_dmarc.a-b.example");
}

TEST_CASE("what is no domain has no normal form") {
    for (auto const* text : {"", ".", "a..b", ".a", "a.b..", "[192.0.2.1]", "a b", "a(b", "a/b", "a@b",
                             "a\n.b", "\xff\xfe.example"})
        CHECK_FALSE(normal_domain(text));
    CHECK_FALSE(normal_domain(std::string("a\0b", 3)));
    CHECK(normal_domain(std::string(63, 'a') + ".b"));
    CHECK_FALSE(normal_domain(std::string(64, 'a') + ".b"));
    std::string longest;
    for (int i = 0; i < 126; ++i) longest += "a.";
    CHECK(normal_domain(longest + "a")->size() == 253);
    CHECK_FALSE(normal_domain(longest + "aa"));
}

TEST_CASE("the domain of an address stands behind its last at sign") {
    CHECK(domain_of_address("a@b@C.example") == "c.example");
    CHECK_FALSE(domain_of_address("a"));
    CHECK_FALSE(domain_of_address("a@"));
}

TEST_CASE("domains are cut and compared label by label") {
    CHECK(label_count("a.b.c") == 3);
    CHECK(label_count("") == 0);
    CHECK(last_labels("a.b.c", 2) == "b.c");
    CHECK(last_labels("a.b.c", 3) == "a.b.c");
    CHECK(last_labels("a.b.c", 9) == "a.b.c");
    CHECK(last_labels("a.b.c", 0).empty());
    CHECK(is_at_or_below("a.example.com", "example.com"));
    CHECK(is_at_or_below("example.com", "example.com"));
    CHECK_FALSE(is_at_or_below("notexample.com", "example.com"));
    CHECK_FALSE(is_at_or_below("com", "example.com"));
}
