// The IgnoreHosts file.
#include "milter-dmarc/hosts.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using milter_dmarc::HostList;

TEST_CASE("hosts match by name, by domain, by address and by network") {
    auto const list =
        HostList::parse("localhost\r\nMail.example # ours\n.lan.example\n192.0.2.1\n198.51.100.0/25\n"
                        "2001:db8::/33\n!198.51.100.7\n!bad.lan.example\n\n",
                        "f");
    REQUIRE(list);
    CHECK(list->contains("localhost", "203.0.113.1"));
    CHECK(list->contains("mail.EXAMPLE", "203.0.113.1"));
    CHECK(list->contains("a.b.lan.example", ""));
    CHECK_FALSE(list->contains("lan.example", ""));
    CHECK_FALSE(list->contains("bad.lan.example", ""));
    CHECK(list->contains("x", "192.0.2.1"));
    CHECK(list->contains("x", "::ffff:192.0.2.1"));
    CHECK(list->contains("x", "198.51.100.127"));
    CHECK_FALSE(list->contains("x", "198.51.100.128"));
    CHECK_FALSE(list->contains("x", "198.51.100.7"));
    CHECK(list->contains("x", "2001:db8:7fff::1"));
    CHECK_FALSE(list->contains("x", "2001:db8:8000::1"));
    CHECK_FALSE(list->contains("x", "not an address"));
}

TEST_CASE("without a file only loopback is passed over") {
    CHECK(HostList::standard().contains("x", "127.0.0.1"));
    CHECK_FALSE(HostList::standard().contains("x", "127.0.0.2"));
}

TEST_CASE("a line that is no host is told with its number") {
    for (auto const* line : {"192.0.2.0/33", "2001:db8::/129", "192.0.2.0/x", "a b", "host/24", "!"}) {
        auto const list = HostList::parse(std::string("# x\n") + line + "\n", "hosts");
        REQUIRE_FALSE(list);
        CHECK(list.error().text.starts_with("hosts:2: "));
    }
    test::TempDir const directory;
    CHECK(HostList::load(directory.write("hosts", "10.0.0.0/8\n"))->contains("", "10.1.2.3"));
    auto const missing = HostList::load(directory.path("missing"));
    REQUIRE_FALSE(missing);
    CHECK(missing.error().text.contains(directory.path("missing")));
}
