// Addresses as the configurations of OpenDKIM, Postfix and ours write them.
#include "common/net/address.h"

#include "tests/unit/support/catch.h"

using namespace postern;
using namespace postern::net;

TEST_CASE("every form of an address is read") {
    for (auto const& [text, read] :
         std::vector<std::pair<std::string, std::string>>{{"unix:/run/x.sock", "unix:/run/x.sock"},
                                                          {"local:/run/x.sock", "unix:/run/x.sock"},
                                                          {"/run/x.sock", "unix:/run/x.sock"},
                                                          {"inet:8891@localhost", "inet:localhost:8891"},
                                                          {"inet:localhost:8891", "inet:localhost:8891"},
                                                          {"inet:8891", "inet:*:8891"},
                                                          {"inet:127.0.0.1:0", "inet:127.0.0.1:0"},
                                                          {"inet:[::1]:25", "inet6:[::1]:25"},
                                                          {"inet6:8891@::1", "inet6:[::1]:8891"},
                                                          {"inet6:8891", "inet6:[::]:8891"},
                                                          {"systemd:milter", "systemd:milter"}}) {
        INFO(text);
        REQUIRE(parse_address(text));
        CHECK(parse_address(text)->to_string() == read);
    }
}

TEST_CASE("what is no address is refused with what would be one") {
    for (auto const* bad : {"", "x", "tcp:25", "inet:", "inet:port@host", "inet:65536@host",
                            "unix:", "systemd:", "inet:host:"}) {
        INFO(bad);
        CHECK_FALSE(parse_address(bad));
    }
    CHECK(parse_address("nonsense").error().text ==
          "\"nonsense\" is not an address (unix:/path, inet:port@host)");
}

TEST_CASE("the path of a Unix socket has 107 octets at most") {
    CHECK(parse_address("/" + std::string(106, 'x')));
    CHECK_FALSE(parse_address("/" + std::string(107, 'x')));
}

TEST_CASE("mode, owner and group follow in any order and nothing else may") {
    auto const listen = parse_listen_address("unix:/run/x  group=mail mode=0660 owner=postfix");
    REQUIRE(listen);
    CHECK(listen->mode == 0660U);
    CHECK(listen->owner == "postfix");
    CHECK(listen->group == "mail");
    CHECK_FALSE(parse_listen_address("unix:/run/x mode=0999"));
    CHECK_FALSE(parse_listen_address("unix:/run/x colour=blue"));
    CHECK_FALSE(parse_listen_address(" "));
}
