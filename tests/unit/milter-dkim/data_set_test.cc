// Data sets and host lists.
#include "milter-dkim/tables/data_set.h"
#include "milter-dkim/tables/data_set_db.h"
#include "milter-dkim/tables/data_set_sql.h"
#include "milter-dkim/tables/hosts.h"
#include "tests/unit/sql/scratch.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

using namespace postern;
using namespace postern::milter_dkim;

namespace {

std::unique_ptr<DataSet> open(std::string const& text, std::vector<config::Problem>* problems = nullptr) {
    std::vector<config::Problem> mine;
    auto opened = DataSetOpener().open(text, {}, problems == nullptr ? mine : *problems);
    REQUIRE(opened);
    return std::move(*opened);
}

std::string found(DataSet const& set, std::string_view key) {
    auto const value = set.find(key);
    return value ? value->value_or("<none>") : "<failed>";
}

bool has_client(std::string const& set, std::string_view name, std::string_view address) {
    return *lists_client(*open(set), name, address);
}

} // namespace

TEST_CASE("lists and files give values by key without case, the first of equal keys") {
    test::TempDir dir;
    auto const path = dir.write("t", "# comment\nKey one two # more\n\n  other\tX\nkey second\n");
    for (auto const& text : {"file:" + path, path}) {
        auto const set = open(text);
        CHECK(found(*set, "KEY") == "one two");
        CHECK(found(*set, "other") == "X");
        CHECK(found(*set, "none") == "<none>");
        CHECK(set->rows()->size() == 3);
        CHECK(set->rows()->at(2).place.to_string() == path + ":5");
    }
    auto const list = open("csl:a=b=c, d ,,::1");
    CHECK(found(*list, "A") == "b=c");
    CHECK(found(*list, "d") == "");
    CHECK(*open("127.0.0.1,::1,fe80::1")->contains("fe80::1"));
}

TEST_CASE("patterns match whole keys, in the order of the file") {
    test::TempDir dir;
    auto const set =
        open("refile:" + dir.write("t", "*@example.com first\nALICE@* second\n*  third\na.c fourth\n"));
    CHECK(found(*set, "alice@EXAMPLE.com") == "first");
    CHECK(set->find_all("alice@example.com") == std::vector<std::string>{"first", "second", "third"});
    CHECK(found(*set, "abc") == "third");
    CHECK(matches_pattern("a*b*c", "axxbyyc"));
    CHECK_FALSE(matches_pattern("a*b*c", "axxbyy"));
    CHECK(matches_pattern("**", ""));
    CHECK_FALSE(matches_pattern("", "x"));
    CHECK_FALSE(matches_pattern("a.c", "abc"));
    // No backtracking: this ends at once.
    CHECK_FALSE(matches_pattern("*a*a*a*a*a*a*a*a*a*a*b", std::string(5000, 'a')));
}

TEST_CASE("kinds that are not read are refused with the ones that are") {
    std::vector<config::Problem> problems;
    for (auto const* text : {"ldap://h/o", "lua:/s", "memcache:h/p", "socket:1@h", "erlang:x", "repute:x"}) {
        auto const opened = DataSetOpener().open(text, {}, problems);
        REQUIRE_FALSE(opened);
        CHECK(opened.error().text.ends_with("\" are not read; use " + std::string(data_set_kinds())));
    }
    auto const missing = DataSetOpener().open("file:/nonexistent/t", {}, problems);
    REQUIRE_FALSE(missing);
    CHECK(missing.error().text == "open /nonexistent/t: No such file or directory");
    CHECK_FALSE(DataSetOpener().open("file:/tmp", {}, problems));
}

TEST_CASE("a row with a NUL is left out with its line") {
    test::TempDir dir;
    std::vector<config::Problem> problems;
    auto const path = dir.write("t", std::string("a 1\nb\0 2\nc 3\n", 13));
    CHECK(open("file:" + path, &problems)->rows()->size() == 2);
    REQUIRE(problems.size() == 1);
    CHECK(problems[0].to_string() == path + ":2: warning: the row holds a NUL; it is left out");
}

TEST_CASE("clients are found by name, parent domain, address and network") {
    CHECK(has_client("csl:mail.example.com", "MAIL.example.com", "192.0.2.1"));
    CHECK(has_client("csl:.example.com", "a.b.example.com", "192.0.2.1"));
    CHECK_FALSE(has_client("csl:example.com", "mail.example.com", "192.0.2.1"));
    CHECK_FALSE(has_client("csl:[192.0.2.1]", "[192.0.2.1]", "198.51.100.1"));
    CHECK(has_client("csl:192.0.2.0/24", "x", "192.0.2.200"));
    CHECK_FALSE(has_client("csl:192.0.2.0/24", "x", "192.0.3.1"));
    CHECK(has_client("csl:192.0.2.0/255.255.255.0", "x", "192.0.2.200"));
    CHECK(has_client("csl:0.0.0.0/0", "x", "203.0.113.9"));
    CHECK(has_client("csl:2001:db8::/32", "x", "2001:db8:1::5"));
    CHECK(has_client("csl:127.0.0.1", "x", "::ffff:127.0.0.1"));
    CHECK_FALSE(has_client("csl:127.0.0.1", "x", "not-an-address"));
    CHECK_FALSE(has_client("csl:127.0.0.1", "", ""));
}

TEST_CASE("an excluded client is not listed, whatever wider entry follows") {
    CHECK_FALSE(has_client("csl:!192.0.2.7,192.0.2.0/24", "x", "192.0.2.7"));
    CHECK(has_client("csl:!192.0.2.7,192.0.2.0/24", "x", "192.0.2.8"));
    CHECK_FALSE(has_client("csl:!192.0.2.0/28,192.0.2.0/24", "x", "192.0.2.7"));
    CHECK_FALSE(has_client("csl:!bad.example.com,.example.com", "bad.example.com", ""));
}

TEST_CASE("networks work in pattern files, and a pattern with a leading star excludes as in OpenDKIM") {
    test::TempDir dir;
    auto const path = "refile:" + dir.write("t", "127.0.0.1\n10.0.0.0/8\n*.example.com\n.example.org\n");
    CHECK(has_client(path, "x", "10.1.2.3"));
    CHECK_FALSE(has_client(path, "mail.example.com", "192.0.2.1"));
    CHECK(has_client(path, "mail.example.org", "192.0.2.1"));
}

TEST_CASE("a DSN is read as OpenDKIM's users write it") {
    auto const dsn = Dsn::parse(
        "mysql://mail=40us:se=3Acret@3306+127.0.0.1/mailserver/table=dkim?keycol=id?datacol=domain,selector,"
        "private_key?filter=active = 1");
    REQUIRE(dsn);
    CHECK(dsn->server.driver == sql::Driver::mariadb);
    CHECK(dsn->server.user == "mail@us");
    CHECK(dsn->server.password == "se:cret");
    CHECK(dsn->server.port == 3306);
    CHECK(dsn->server.host == "127.0.0.1");
    CHECK(dsn->server.database == "mailserver");
    CHECK(dsn->statement().fragments ==
          std::vector<std::string>{"SELECT domain, selector, private_key FROM dkim WHERE id = ",
                                   " AND (active = 1)"});
    auto const short_one = Dsn::parse("pgsql://localhost/db/table=t?datacol=domain");
    REQUIRE(short_one);
    CHECK(short_one->key_column == "domain");
    CHECK(short_one->server.user.empty());
}

TEST_CASE("a DSN that cannot work is refused without telling its password") {
    for (auto const* text :
         {"oracle://u:secret@h/d/table=t?keycol=k?datacol=v", "mysql:u:secret@h/d", "mysql://u:secret@h/d",
          "mysql://u:secret@h/d/table=t; DROP TABLE x?keycol=k?datacol=v",
          "mysql://u:secret@h/d/table=t?keycol=k", "mysql://u:secret@h/d/table=t?colour=k",
          "mysql://u:secret@x+h/d/table=t?keycol=k?datacol=v", "mysql://secret/table=t?keycol=k?datacol=v"}) {
        auto const dsn = Dsn::parse(text);
        REQUIRE_FALSE(dsn);
        CHECK_FALSE(dsn.error().text.contains("secret"));
    }
}

TEST_CASE("rows of a database are found by key, and a database that fails is temporary") {
    test::Scratch const scratch;
    test::TestLog log;
    Metrics metrics;
    auto const file = scratch.database("CREATE TABLE keys (id TEXT, domain TEXT, selector TEXT, key TEXT);"
                                       "INSERT INTO keys VALUES ('k', 'example.com', 's', '/key'), "
                                       "('k2', 'example.org', 't', NULL)");
    std::vector<config::Problem> problems;
    DataSetOpener const opener(database_opener(log, metrics));
    auto const set = opener.open("dsn:sqlite://" + file + "/table=keys?keycol=id?datacol=domain,selector,key",
                                 {}, problems);
    REQUIRE(set);
    CHECK(found(**set, "k") == "example.com:s:/key");
    CHECK(found(**set, "k2") == "example.org:t:");
    CHECK(found(**set, "k' OR '1'='1") == "<none>");
    // All keys in one statement, in the order of the keys, not of the rows.
    std::string const keys[] = {"none", "k2", "k"};
    auto const hits = (*set)->find_in_order(keys, false);
    REQUIRE(hits);
    REQUIRE(hits->size() == 2);
    CHECK(hits->at(0).index == 1);
    CHECK(hits->at(1).value == "example.com:s:/key");
    CHECK((*set)->find_in_order(keys, true)->size() == 1);
    auto const missing =
        opener.open("dsn:sqlite:///nonexistent/t.db/table=keys?keycol=id?datacol=domain", {}, problems);
    REQUIRE(missing);
    CHECK(found(**missing, "k") == "<failed>");
    log.expect("nonexistent");
}

namespace {

// Counts how often a server would be asked.
class CountingSet final : public DataSet {
  public:
    explicit CountingSet(std::string listed) : listed_(std::move(listed)) {}
    Result<std::optional<std::string>> find(std::string_view) const override { return std::nullopt; }
    Result<std::vector<std::string>> find_all(std::string_view) const override { return {}; }
    Result<std::vector<Hit>> find_in_order(std::span<std::string const> keys, bool) const override {
        ++questions;
        std::vector<Hit> hits;
        for (std::size_t i = 0; i < keys.size(); ++i)
            if (keys[i] == listed_) hits.push_back({i, ""});
        return hits;
    }
    mutable int questions = 0;

  private:
    std::string listed_;
};

} // namespace

TEST_CASE("a client costs a database two questions at most") {
    CountingSet const networks("192.0.2.0/24");
    CHECK(*lists_client(networks, "a.b.c.example.com", "192.0.2.7"));
    CHECK(networks.questions == 2);
    CHECK_FALSE(*lists_client(networks, "a.b.c.example.com", "2001:db8::7"));
    CHECK(networks.questions == 4);
    CountingSet const names(".example.com");
    CHECK(*lists_client(names, "a.b.c.example.com", "192.0.2.7"));
    CHECK(names.questions == 1);
    CHECK_FALSE(*lists_client(CountingSet("!192.0.2.7"), "x", "192.0.2.7"));
}
