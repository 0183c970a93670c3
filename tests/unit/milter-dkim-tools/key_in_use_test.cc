// What an opendkim.conf signs with, and changing it without touching anything else.
#include "milter-dkim/tools/rotate/key_in_use.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

using namespace postern;
using namespace postern::milter_dkim::tools;

namespace {

std::string problems_of(Inventory const& inventory) {
    std::string all;
    for (auto const& problem : inventory.problems) all += problem.text + "\n";
    return all;
}

} // namespace

TEST_CASE("every row of a KeyTable is a key, and rows with one selector are one") {
    test::TempDir const dir;
    auto const table = dir.write("KeyTable", "# keys\n"
                                             "mail._domainkey.a.example a.example:mail:/k/mail.private\n"
                                             "other a.example:mail:/k/mail.private\n"
                                             "b  B.example:2026:/k/b.private # old\n"
                                             "any %:mail:/k/%/mail.private\n"
                                             "broken a.example\n"
                                             "inline c.example:mail:MIIEvg==\n");
    auto const conf = dir.write("opendkim.conf", "KeyTable file:" + table + "\nSigningTable refile:" +
                                                     dir.write("SigningTable", "*@a.example other\n") + "\n");
    auto const inventory = take_inventory(conf);
    REQUIRE(inventory.keys.size() == 3);
    CHECK(inventory.keys[0].domains == std::vector<std::string>{"a.example"});
    CHECK(inventory.keys[0].lines == std::vector<int>{2, 3});
    CHECK(inventory.keys[1].domains == std::vector<std::string>{"b.example"});
    CHECK(inventory.keys[1].path == "/k/b.private");
    CHECK(inventory.keys[2].path.empty());
    CHECK_FALSE(config::has_errors(inventory.problems));
    CHECK(problems_of(inventory).find("\"%\" stands for many domains") != std::string::npos);
    CHECK(problems_of(inventory).find("\"broken\" is not rotated") != std::string::npos);
}

TEST_CASE("without a KeyTable, Selector and KeyFile are the key of all domains") {
    test::TempDir const dir;
    auto const conf =
        dir.write("opendkim.conf", "Domain a.example, b.example\nSelector mail\n\nKeyFile /k/mail.private\n");
    auto const inventory = take_inventory(conf);
    REQUIRE(inventory.keys.size() == 1);
    auto const& key = inventory.keys[0];
    CHECK(key.where == KeyInUse::Where::settings);
    CHECK(key.domains == std::vector<std::string>{"a.example", "b.example"});
    CHECK(key.lines == std::vector<int>{2, 4});
    CHECK(key.place() == conf + ":2");
}

TEST_CASE("what cannot be switched in one step is an error that says why") {
    test::TempDir const dir;
    auto const include = dir.write("key.conf", "KeyFile /k/mail.private\n");
    auto const table = dir.write("SigningTable", "");
    struct Case {
        std::string conf;
        std::string error;
    };
    for (auto const& [conf, error] : {
             Case{"Domain a.example\nSelector mail\nInclude " + include + "\n", "stand in two files"},
             Case{"KeyTable csl:k=a.example:mail:/k\nSigningTable file:" + table + "\n",
                  "only a KeyTable in a file"},
             Case{"KeyTable file:/none\nSigningTable file:" + table + "\n", "/none"},
             Case{"Domain *\nSelector mail\nKeyFile /k/m\n", "is no domain name"},
             Case{"Domain a.example\nSelector mail\nKeyFile keys/m\n", "the path is relative"},
             Case{"Mode v\n", "nothing signs"},
         }) {
        INFO(conf);
        auto const inventory = take_inventory(dir.write("opendkim.conf", conf));
        CHECK(config::has_errors(inventory.problems));
        CHECK(problems_of(inventory).find(error) != std::string::npos);
    }
}

TEST_CASE("a changed row keeps its name, blanks, comment and line end") {
    KeyInUse const key{KeyInUse::Where::key_table, {"a.example"}, "mail",
                       "/k/mail.private",          "KeyTable",    {2, 4}};
    CHECK(with_new_key(key,
                       "# mail\nk1\ta.example:mail:/k/mail.private   # mail, /k/mail.private\r\n\n"
                       " mail a.example : mail : /k/mail.private\nend",
                       "202611", "/k/202611.private")
              .value() == "# mail\nk1\ta.example:202611:/k/202611.private   # mail, /k/mail.private\r\n\n"
                          " mail a.example : 202611 : /k/202611.private\nend");
}

TEST_CASE("changed settings keep everything around their values") {
    KeyInUse const key{KeyInUse::Where::settings, {"a.example"}, "mail", "/k/mail.private", "conf", {2, 1}};
    CHECK(with_new_key(key, "KeyFile\t/k/mail.private # Selector\n  Selector   mail\nSocket inet:1\n",
                       "202611", "/k/202611.private")
              .value() == "KeyFile\t/k/202611.private # Selector\n  Selector   202611\nSocket inet:1\n");
}

TEST_CASE("rows that say something else by now are left alone") {
    KeyInUse const key{KeyInUse::Where::key_table, {"a.example"}, "mail", "/k/mail.private", "KeyTable", {2}};
    for (auto const* text : {"", "x\n", "x\nk a.example:other:/k/mail.private\n",
                             "x\n# k a.example:mail:/k\n", "x\nk a.example:mail # :/k\n", "x\nk\n"})
        CHECK_FALSE(with_new_key(key, text, "202611", "/k/202611.private"));
}
