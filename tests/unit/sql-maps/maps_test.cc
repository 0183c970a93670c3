// Tables on real SQLite files: answers, suppression, files that change and files that are not trusted.
#include "sql-maps/maps.h"

#include "tests/unit/sql/scratch.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <atomic>
#include <filesystem>
#include <thread>

using namespace postern;
using namespace postern::sql_maps;

namespace {

constexpr auto schema =
    "CREATE TABLE v(k TEXT, a TEXT, b TEXT);"
    "INSERT INTO v VALUES('alice@example.com','a1@x','second'),('o''brien@example.com','ob@x',NULL),"
    "('two@example.com','t1@x',NULL),('two@example.com','t2@x',NULL),"
    "('null@example.com',NULL,NULL),('empty@example.com','',NULL),('plain','here',NULL)";

struct World {
    test::Scratch scratch;
    test::TestLog log;
    Metrics metrics;
    std::string database = scratch.database(schema);
    std::map<std::string, std::string> stock{{"hash:/x listed.example", "yes"}};
    Maps maps{limits(),
              [this](std::string const& table, std::string_view key) -> Result<Answer> {
                  if (table == "down:") return temporary("stock away");
                  auto const found = stock.find(table + " " + std::string(key));
                  return found == stock.end() ? Answer() : Answer(found->second);
              },
              log, metrics};

    MapLimits limits() {
        MapLimits out;
        out.directories = {scratch.path("")};
        out.query_timeout = std::chrono::milliseconds(2000);
        return out;
    }
    std::string table(std::string_view more, std::string_view name = "x.cf") {
        auto const path = scratch.write(name, "dbpath = " + database + "\n" + std::string(more) + "\n");
        std::filesystem::permissions(path, std::filesystem::perms(0640));
        return "sqlite:" + path;
    }
    // The value, "-" for not found, or the error.
    std::string ask(std::string const& table, std::string_view key) {
        auto const answer = maps.lookup(table, key);
        if (answer) return answer->value_or("-");
        log.expect("table \"");
        return answer.error().text;
    }
};

std::string const by_key = "query = SELECT a, b FROM v WHERE k='%s'";

// The value, "-" for not found, "!" for an error.
std::string given(Maps& maps, std::string const& table, std::string_view key) {
    auto const answer = maps.lookup(table, key);
    return answer ? answer->value_or("-") : "!";
}

} // namespace

TEST_CASE("A table gives the first column of every row, without NULL and empty values") {
    World world;
    auto const table = world.table(by_key);
    CHECK(world.ask(table, "alice@example.com") == "a1@x");
    CHECK(world.ask(table, "o'brien@example.com") == "ob@x");
    CHECK(world.ask(table, "two@example.com") == "t1@x,t2@x");
    CHECK(world.ask(table, "null@example.com") == "-");
    CHECK(world.ask(table, "nobody@example.com") == "-");
    CHECK(world.ask(table, "' OR '1'='1") == "-");
    CHECK(world.ask(table, "") == "-");
    CHECK(world.ask(table, "empty@example.com") == "-");
    CHECK(world.log.expect("empty lookup result for: \"empty@example.com\" -- ignored"));
    CHECK(world.metrics.text().contains("result=\"found\"} 3"));
}

TEST_CASE("Result formats and expansion limits count values") {
    World world;
    auto const limited = world.table(by_key + "\nexpansion_limit = 1", "limited.cf");
    CHECK(world.ask(limited, "alice@example.com") == "a1@x");
    CHECK(world.ask(limited, "two@example.com") == "Expansion limit exceeded for key: 'two@example.com'");
    auto const exact = world.table(by_key + "\nexpansion_limit = 2", "exact.cf");
    CHECK(world.ask(exact, "two@example.com") == "t1@x,t2@x");
    auto const format = world.table(by_key + "\nresult_format = <%u|%D>", "format.cf");
    CHECK(world.ask(format, "two@example.com") == "<t1|example.com>,<t2|example.com>");
    CHECK(world.ask(format, "plain") == "-");
}

TEST_CASE("A domain list decides which keys are asked") {
    World world;
    auto const patterns =
        world.scratch.write("domains", "# comment\nFile.example\n!no.example other.example\n");
    auto const table =
        world.table("query = SELECT 'hit'\ndomain = !bad.example, Example.COM, " + patterns + ", hash:/x");
    CHECK(world.ask(table, "a@example.com") == "hit");
    CHECK(world.ask(table, "a@EXAMPLE.COM") == "hit");
    CHECK(world.ask(table, "a@sub.example.com") == "-");
    CHECK(world.ask(table, "a@bad.example") == "-");
    CHECK(world.ask(table, "a@file.example") == "hit");
    CHECK(world.ask(table, "a@no.example") == "-");
    CHECK(world.ask(table, "a@listed.example") == "hit");
    CHECK(world.ask(table, "example.com") == "-");
    CHECK(world.ask(table, "@example.com") == "-");
    CHECK(world.ask(table, "a@") == "-");
    auto const down = world.table("query = SELECT 'hit'\ndomain = down:", "down.cf");
    CHECK(world.ask(down, "a@x") == "domain: down:: stock away");
}

TEST_CASE("An SQL table may stand in a domain list, but not one that asks tables itself") {
    World world;
    auto const inner =
        world.table("query = SELECT a FROM v WHERE '%s'='in.example' AND k='plain'", "inner.cf");
    auto const outer = world.table("query = SELECT 'hit'\ndomain = " + inner, "outer.cf");
    CHECK(world.ask(outer, "a@in.example") == "hit");
    CHECK(world.ask(outer, "a@out.example") == "-");
    auto const self = "sqlite:" + world.scratch.path("self.cf");
    world.table("query = SELECT 'hit'\ndomain = " + self, "self.cf");
    CHECK(world.ask(self, "a@x").ends_with("has a domain list with tables in it, and cannot stand in one"));
}

TEST_CASE("A file that changes is read again, and one that breaks says why") {
    World world;
    auto const table = world.table("query = SELECT 'old'");
    CHECK(world.ask(table, "k") == "old");
    world.table("query = SELECT 'newer'");
    CHECK(world.ask(table, "k") == "newer");
    world.table("query = SELECT '%x'");
    CHECK(world.ask(table, "k").contains("'%x' is unknown"));
    world.table("query = SELECT 'again'");
    CHECK(world.ask(table, "k") == "again");
    std::filesystem::remove(world.scratch.path("x.cf"));
    CHECK(world.ask(table, "k").ends_with("No such file or directory"));
}

TEST_CASE("Files elsewhere, and files that strangers may write, are refused") {
    World world;
    test::Scratch const elsewhere;
    auto const table = world.table("query = SELECT 'x'");
    CHECK(world.ask(table, "k") == "x");
    auto const outside = elsewhere.write("y.cf", "dbpath = " + world.database + "\nquery = SELECT 'x'\n");
    CHECK(world.ask("sqlite:" + outside, "k").contains("is not below any of map_directories"));
    std::filesystem::create_symlink(outside, world.scratch.path("link.cf"));
    CHECK(world.ask("sqlite:" + world.scratch.path("link.cf"), "k").contains("is not below any of"));
    CHECK(world.ask("sqlite:" + world.scratch.path("../") + outside.substr(5), "k") != "x");
    std::filesystem::permissions(world.scratch.path("x.cf"), std::filesystem::perms(0646));
    CHECK(world.ask(table, "k").contains("may be changed by others than root: mode 0646"));
    std::filesystem::permissions(world.scratch.path("x.cf"), std::filesystem::perms(0644));
    CHECK(world.ask(table, "k") == "x");
    CHECK(world.ask("sqlite:relative.cf", "k").contains("the path is not absolute"));
    CHECK(world.ask("unix:passwd.byname", "k").contains("is not an SQL table"));
}

TEST_CASE("Every directory from the one that is allowed down to the file must be safe from strangers") {
    World world;
    for (auto const* directory : {"a", "a/b"})
        std::filesystem::create_directory(world.scratch.path(directory));
    auto const table = world.table("query = SELECT 'x'", "a/b/y.cf");
    CHECK(world.ask(table, "k") == "x");
    std::filesystem::permissions(world.scratch.path("a"), std::filesystem::perms(0777));
    world.table("query = SELECT 'changed'", "a/b/y.cf");
    CHECK(world.ask(table, "k").contains("may be changed by others than root: mode 0777"));
}

TEST_CASE("A link that is turned while it is read never shows a file from elsewhere") {
    World world;
    test::Scratch const elsewhere;
    auto const inside = world.table("query = SELECT 'inside'", "inside.cf").substr(7);
    auto const outside =
        elsewhere.write("outside.cf", "dbpath = " + world.database + "\nquery = SELECT 'outside'\n");
    auto const link = world.scratch.path("link.cf");
    auto const turn = [&](std::string const& target) {
        std::filesystem::create_symlink(target, link + ".new");
        std::filesystem::rename(link + ".new", link);
    };
    turn(inside);
    std::atomic<bool> stop = false;
    std::thread turner([&] {
        for (int i = 0; !stop; ++i) turn(i % 2 == 0 ? outside : inside);
    });
    int read = 0, refused = 0, strange = 0;
    for (int i = 0; (read < 300 || refused < 300) && i < 100'000; ++i) {
        auto const answer = world.maps.lookup("sqlite:" + link, "k");
        ++(!answer ? refused : *answer == "inside" ? read : strange);
    }
    stop = true;
    turner.join();
    CHECK(read >= 300);
    CHECK(refused >= 300);
    CHECK(strange == 0);
    world.log.expect("table \"");
}

TEST_CASE("A locked database, a missing one and a refused query are errors, never not found") {
    World world;
    auto const table = world.table(by_key);
    sql::ServerSettings server;
    server.database = world.database;
    server.options.emplace_back("mode", "rw");
    auto const holder = sql::connect(server, Deadline::after(std::chrono::seconds(5)));
    REQUIRE((*holder)->query({{"BEGIN EXCLUSIVE"}}, {}, Deadline::after(std::chrono::seconds(5))));
    auto quick = world.limits();
    quick.query_timeout = std::chrono::milliseconds(50);
    Maps impatient(quick, {}, world.log, world.metrics);
    auto const locked = impatient.lookup(table, "alice@example.com");
    REQUIRE(!locked);
    CHECK(locked.error().kind == ErrorKind::temporary);
    REQUIRE((*holder)->query({{"COMMIT"}}, {}, Deadline::after(std::chrono::seconds(5))));
    CHECK(world.log.expect("database is locked"));
    auto const broken = world.table("query = SELECT nosuch FROM v", "broken.cf");
    CHECK(world.ask(broken, "k").contains("no such column"));
    auto const missing = world.scratch.write("missing.cf", "dbpath = /nonexistent/db\nquery = SELECT 1\n");
    CHECK(world.ask("sqlite:" + missing, "k").contains("unable to open database file"));
    CHECK(world.log.expect("connect to sqlite server /nonexistent/db"));
}

TEST_CASE("Variables outside quotes are told when the table is read") {
    World world;
    auto const table = world.table("query = SELECT a FROM v WHERE k=%u");
    world.ask(table, "alice@x");
    CHECK(world.log.expect("query: %u stands outside quotes"));
    CHECK(world.log.expect("no such column"));
}

TEST_CASE("Tables with the same servers share one pool") {
    World world;
    for (int i = 0; i < 5; ++i)
        CHECK(world.ask(world.table("query = SELECT 'x'", "t" + std::to_string(i) + ".cf"), "k") == "x");
    auto const text = world.metrics.text();
    CHECK(text.contains("postern_sql_connections{pool=\"sqlite:" + world.scratch.path("t0.cf") + "\"} 1"));
    CHECK(!text.contains("pool=\"sqlite:" + world.scratch.path("t1.cf")));
}

TEST_CASE("With serve_stale a locked database answers what it said before, and only that") {
    World world;
    auto const table = world.table(by_key);
    auto limits = world.limits();
    limits.query_timeout = std::chrono::milliseconds(50);
    limits.cache.stale = std::chrono::minutes(15);
    Maps maps(limits, {}, world.log, world.metrics);
    CHECK(given(maps, table, "alice@example.com") == "a1@x");
    CHECK(given(maps, table, "nobody@example.com") == "-");
    sql::ServerSettings server;
    server.database = world.database;
    server.options.emplace_back("mode", "rw");
    auto const holder = sql::connect(server, Deadline::after(std::chrono::seconds(5)));
    REQUIRE((*holder)->query({{"BEGIN EXCLUSIVE"}}, {}, Deadline::after(std::chrono::seconds(5))));
    CHECK(given(maps, table, "alice@example.com") == "a1@x");
    CHECK(world.log.expect("stale answer for \"alice@example.com\", 0 s old: "));
    CHECK(given(maps, table, "nobody@example.com") == "-");
    CHECK(world.log.expect("stale answer for \"nobody@example.com\""));
    CHECK(!maps.lookup(table, "two@example.com"));
    CHECK(world.log.expect("lookup of \"two@example.com\" failed"));
}

TEST_CASE("A cached answer is given without asking, for the tables that are named, until the file changes") {
    World world;
    auto const cached = world.table("query = SELECT random()", "cached.cf");
    auto const other = world.table("query = SELECT random()", "other.cf");
    auto limits = world.limits();
    limits.cache.positive = std::chrono::hours(1);
    limits.cache_tables = {cached};
    Maps maps(limits, {}, world.log, world.metrics);
    auto const first = given(maps, cached, "k");
    CHECK(given(maps, cached, "k") == first);
    CHECK(given(maps, other, "k") != given(maps, other, "k"));
    world.table("query = SELECT  random()", "cached.cf");
    CHECK(given(maps, cached, "k") != first);
    CHECK(world.metrics.text().contains("kind=\"fresh\"} 1"));
}
