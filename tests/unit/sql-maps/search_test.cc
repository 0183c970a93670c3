// Partial keys by class, in Postfix's order.
#include "sql-maps/search.h"

#include "tests/unit/support/catch.h"

#include <map>

using namespace postern;
using namespace postern::sql_maps;

namespace {

std::string keys(std::string_view key, std::string_view map_class,
                 SearchRules const& rules = {"+", {"local.example"}}) {
    auto const known = parse_map_class(map_class);
    REQUIRE(known);
    std::string out;
    for (auto const& [candidate, extension] : candidates(key, *known, rules))
        out += (out.empty() ? "" : " ") + candidate + (extension.empty() ? "" : "(" + extension + ")");
    return out;
}

} // namespace

TEST_CASE("Virtual and canonical search addresses, local users and domains, in lower case") {
    CHECK(keys("Alice+Ext@Va.Test", "virtual") == "alice+ext@va.test alice@va.test(+Ext) @va.test");
    CHECK(keys("u+x@local.example", "canonical") ==
          "u+x@local.example u@local.example(+x) u+x u(+x) @local.example");
    CHECK(keys("alice", "virtual") == "alice");
    CHECK(keys("alice@", "virtual") == "alice@");
    CHECK(keys("a@b@c", "virtual") == "a@b@c @c");
    CHECK(keys("u+x@d", "virtual", {}) == "u+x@d @d");
    CHECK(keys("", "virtual").empty());
}

TEST_CASE("Extensions are split as Postfix splits them") {
    CHECK(keys("+x@d", "address") == "+x@d @d");
    CHECK(keys("a+b+c@d", "address") == "a+b+c@d a@d @d");
    CHECK(keys("owner-list@d", "address", {"-", {}}) == "owner-list@d @d");
    CHECK(keys("list-request@d", "address", {"-", {}}) == "list-request@d @d");
    CHECK(keys("a-b@d", "address", {"+-", {}}) == "a-b@d a@d @d");
    CHECK(keys("Mailer-Daemon@d", "address", {"-", {}}) == "mailer-daemon@d @d");
}

TEST_CASE("Mailboxes, relay tables and plain ones have their own keys") {
    CHECK(keys("u+x@local.example", "virtual_mailbox") == "u+x@local.example u@local.example @local.example");
    CHECK(keys("Example.COM", "domain") == "example.com");
    CHECK(keys("a.Example.COM", "relay_domains") == "a.example.com example.com com");
    CHECK(keys("U+x@D", "plain") == "u+x@d");
    CHECK(keys("bob@example.com", "sender_login") == "bob@example.com @example.com");
}

TEST_CASE("Transport searches the domain and its dotted parents, and the star alone") {
    CHECK(keys("*", "transport") == "*");
    CHECK(keys("Bob@Mx.Example.com", "transport") == "bob@mx.example.com mx.example.com .example.com .com");
    CHECK(keys("u+x@d.e", "transport") == "u+x@d.e u@d.e d.e .e");
    CHECK(keys("mx.example.com", "transport") == "mx.example.com .example.com .com");
}

TEST_CASE("Access searches addresses, parent domains without dot, local parts and networks") {
    CHECK(keys("alice+ext@a.va.test", "access") ==
          "alice+ext@a.va.test alice@a.va.test a.va.test va.test test alice+ext@ alice@");
    CHECK(keys("mail.example.com", "access") == "mail.example.com example.com com");
    CHECK(keys("192.0.2.1", "access") == "192.0.2.1 192.0.2 192.0 192");
    CHECK(keys("2001:db8::1", "access") == "2001:db8::1 2001:db8 2001");
    CHECK(keys("@x", "access") == "@x x");
}

TEST_CASE("The first key found decides, and an error ends the search") {
    std::map<std::string, std::string, std::less<>> rows{{"u@d", "a@x, b"}, {"@d", "catch"}};
    std::vector<std::string> asked;
    auto const lookup = [&](std::string_view key) -> Result<Answer> {
        asked.emplace_back(key);
        if (key == "down@d") return temporary("away");
        auto const found = rows.find(key);
        return found == rows.end() ? Answer() : Answer(found->second);
    };
    SearchRules const rules{"+", {}};
    CHECK(*search("u@d", MapClass::rewriting, rules, lookup) == "a@x, b");
    CHECK(*search("u+e@d", MapClass::rewriting, rules, lookup) == "a+e@x,b+e");
    CHECK(*search("u+e@d", MapClass::address, rules, lookup) == "a@x, b");
    CHECK(*search("other@d", MapClass::rewriting, rules, lookup) == "catch");
    CHECK(*search("other@e", MapClass::rewriting, rules, lookup) == std::nullopt);
    asked.clear();
    CHECK(!search("down@d", MapClass::rewriting, rules, lookup));
    CHECK(asked == std::vector<std::string>{"down@d"});
}

TEST_CASE("Every class that messages name is known") {
    for (auto const name :
         {"virtual", "canonical", "generic", "transport", "access", "sender_login", "sender_bcc",
          "recipient_bcc", "relocated", "virtual_mailbox", "domain", "address", "plain"}) {
        INFO(name);
        CHECK(parse_map_class(name));
        CHECK(map_class_names().contains(name));
    }
    CHECK(!parse_map_class("vritual"));
}
