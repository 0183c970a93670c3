// Where the policy record is looked for, in each mode.
#include "milter-dmarc/discovery.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/fake_resolver.h"

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

mail::PublicSuffixes const& suffixes() {
    static auto const loaded = mail::PublicSuffixes::load();
    REQUIRE(loaded);
    return *loaded;
}

// "domain method" of the record that applies, "none", or "temperror".
std::string record_for(std::string const& author, DiscoveryMode mode, test::Zone const& zone) {
    test::FakeResolver resolver(zone);
    Discovery discovery(resolver, suffixes(), {.mode = mode}, Deadline::never());
    auto const found = discovery.record_for(author);
    if (!found) return "temperror";
    return *found ? (*found)->domain + " " + std::string(to_string((*found)->method)) : "none";
}

} // namespace

TEST_CASE("the tree walk asks eight names at most and jumps over the middle") {
    CHECK(walk_names("com") == std::vector<std::string>{"com"});
    CHECK(walk_names("a.example.com") == std::vector<std::string>{"a.example.com", "example.com", "com"});
    CHECK(walk_names("1.2.3.4.5.6.7.8").size() == 8);
    CHECK(walk_names("1.2.3.4.5.6.7.8")[1] == "2.3.4.5.6.7.8");
    auto const deep = walk_names("1.2.3.4.5.6.7.8.9.10.11.12");
    CHECK(deep.size() == 8);
    CHECK(deep[1] == "6.7.8.9.10.11.12");
    CHECK(deep[7] == "12");
}

TEST_CASE("each mode finds the record its own way") {
    test::Zone zone;
    zone.txt("_dmarc.example.co.uk", "v=DMARC1; p=reject");
    zone.txt("_dmarc.mail.example.co.uk", "v=DMARC1; p=none; psd=n");
    zone.txt("_dmarc.shop.bank.example", "v=DMARC1; p=none");
    CHECK(record_for("a.b.example.co.uk", DiscoveryMode::psl, zone) == "example.co.uk psl");
    CHECK(record_for("a.b.example.co.uk", DiscoveryMode::treewalk, zone) == "example.co.uk treewalk");
    CHECK(record_for("a.b.example.co.uk", DiscoveryMode::automatic, zone) == "example.co.uk psl");
    // psd= asks for the tree walk.
    CHECK(record_for("a.mail.example.co.uk", DiscoveryMode::psl, zone) == "example.co.uk psl");
    CHECK(record_for("mail.example.co.uk", DiscoveryMode::psl, zone) == "mail.example.co.uk psl");
    CHECK(record_for("mail.example.co.uk", DiscoveryMode::automatic, zone) == "mail.example.co.uk treewalk");
    CHECK(record_for("a.mail.example.co.uk", DiscoveryMode::treewalk, zone) == "mail.example.co.uk treewalk");
    // The list knows no suffix bank.example: only the walk leads to a record below its organization.
    CHECK(record_for("x.shop.bank.example", DiscoveryMode::psl, zone) == "none");
    CHECK(record_for("x.shop.bank.example", DiscoveryMode::automatic, zone) == "shop.bank.example treewalk");
}

TEST_CASE("a record at a public suffix makes no organization unless it says psd=y") {
    test::Zone zone;
    zone.txt("_dmarc.co.uk", "v=DMARC1; p=reject").txt("_dmarc.uk", "v=DMARC1; p=reject");
    CHECK(record_for("a.example.co.uk", DiscoveryMode::treewalk, zone) == "none");
    CHECK(record_for("co.uk", DiscoveryMode::treewalk, zone) == "co.uk treewalk");
    zone.remove("_dmarc.co.uk").txt("_dmarc.co.uk", "v=DMARC1; p=reject; psd=y");
    CHECK(record_for("a.example.co.uk", DiscoveryMode::treewalk, zone) == "co.uk treewalk");
    test::FakeResolver resolver(zone);
    Discovery discovery(resolver, suffixes(), {}, Deadline::never());
    CHECK(discovery.organizational_domain("a.example.co.uk", Method::treewalk) == "example.co.uk");
}

TEST_CASE("a DNS that cannot be asked is never an absent record") {
    test::Zone zone;
    zone.fail("_dmarc.example.com");
    for (auto const mode : {DiscoveryMode::psl, DiscoveryMode::treewalk, DiscoveryMode::automatic}) {
        CHECK(record_for("example.com", mode, zone) == "temperror");
        CHECK(record_for("a.example.com", mode, zone) == "temperror");
    }
    test::FakeResolver resolver{test::Zone{}};
    Discovery discovery(resolver, suffixes(), {}, Deadline::after(std::chrono::milliseconds(-1)));
    CHECK_FALSE(discovery.record_for("example.com"));
    CHECK_FALSE(discovery.exists("example.com"));
}

TEST_CASE("each name is asked once for a message") {
    test::FakeResolver resolver{test::Zone{}};
    Discovery discovery(resolver, suffixes(), {.mode = DiscoveryMode::automatic}, Deadline::never());
    CHECK(discovery.record_for("a.example.com"));
    CHECK(discovery.organizational_domain("a.example.com", Method::treewalk) == "a.example.com");
    CHECK(discovery.organizational_domain("b.example.com", Method::treewalk) == "b.example.com");
    CHECK(resolver.questions() == std::vector<std::string>{"_dmarc.a.example.com TXT",
                                                           "_dmarc.example.com TXT", "_dmarc.com TXT",
                                                           "_dmarc.b.example.com TXT"});
}

TEST_CASE("a name too long to be asked for has no record") {
    std::string name;
    for (int i = 0; i < 62; ++i) name += "abc.";
    CHECK(record_for(name + "com", DiscoveryMode::automatic, test::Zone{}) == "none");
}
