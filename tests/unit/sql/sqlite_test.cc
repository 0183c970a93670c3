// SQLite for real: answers, refusals, locks, and files that go away.
#include "common/sql/database.h"
#include "common/sql/pool.h"

#include "tests/unit/sql/scratch.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <filesystem>

using namespace postern;
using namespace std::chrono_literals;
using sql::Statement;

namespace {

sql::ServerSettings file(std::string const& path, bool writes = false) {
    sql::ServerSettings server;
    server.database = path;
    if (writes) server.options.emplace_back("mode", "rw");
    return server;
}

// "a,b;c,NULL" or "temporary: ..." / "permanent: ...".
std::string shown(Result<sql::Rows> const& rows) {
    if (!rows) return std::string(to_string(rows.error().kind)) + ": " + rows.error().text;
    std::string out;
    for (auto const& row : rows->rows) {
        if (!out.empty()) out += ';';
        for (std::size_t i = 0; i < row.size(); ++i) out += (i == 0 ? "" : ",") + row[i].value_or("NULL");
    }
    return out;
}

std::unique_ptr<sql::Connection> open(std::string const& path, bool writes = false) {
    auto made = sql::connect(file(path, writes), Deadline::after(5s));
    REQUIRE(made);
    return std::move(*made);
}

std::string ask(sql::Connection& connection, std::vector<std::string> fragments,
                std::vector<std::string> const& values = {}, Deadline deadline = Deadline::after(5s)) {
    return shown(connection.query(Statement{std::move(fragments)}, values, deadline));
}

// What each of several queries got; "" until then.
class Collected final : public sql::Answers {
  public:
    explicit Collected(std::size_t count) : texts(count) {}
    void answer(std::size_t which, Result<sql::Rows> rows) override { texts.at(which) += shown(rows); }
    void take_back(std::vector<std::size_t> which) override {
        for (auto const each : which) texts.at(each) += "taken back";
    }
    std::vector<std::string> texts;
};

// Each with the value k; afterwards, "failed" stands for a connection that failed.
std::vector<std::string> ask_all(sql::Connection& connection, std::vector<Statement> const& statements,
                                 std::vector<std::string> const& values,
                                 Deadline deadline = Deadline::after(5s)) {
    std::vector<sql::Query> queries;
    for (auto const& statement : statements)
        queries.push_back({&statement, std::span(values).first(statement.parameters()), deadline});
    Collected collected(queries.size());
    if (!connection.query_all(queries, collected)) collected.texts.emplace_back("failed");
    return collected.texts;
}

Statement const endless{
    {"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c"}};

} // namespace

TEST_CASE(
    "Of several SQLite queries one that is refused fails alone, and the next see what was changed since") {
    test::Scratch const scratch;
    auto const path = scratch.database("CREATE TABLE t(k TEXT, a TEXT); INSERT INTO t VALUES('k','old')");
    auto const reader = open(path);
    auto const writer = open(path, true);
    std::vector<Statement> const asked{
        {{"SELECT a FROM t WHERE k=", ""}}, {{"SELECT nosuch FROM t"}}, {{"SELECT 1"}}};
    auto const wrong = "permanent: " + path + ": no such column: nosuch";
    CHECK(ask_all(*reader, asked, {"k"}) == std::vector<std::string>{"old", wrong, "1"});
    REQUIRE(ask(*writer, {"UPDATE t SET a='new'"}).empty());
    CHECK(ask_all(*reader, asked, {"k"}) == std::vector<std::string>{"new", wrong, "1"});
    CHECK(ask(*reader, {"SELECT a FROM t"}) == "new");
    CHECK(ask_all(*writer, {{{"UPDATE t SET a='mine'"}}, {{"SELECT a FROM t"}}}, {}) ==
          std::vector<std::string>{"", "mine"});
}

TEST_CASE("Behind a SQLite query that takes long nobody waits: the others go back to who asked") {
    test::Scratch const scratch;
    auto const connection = open(scratch.database("CREATE TABLE t(k TEXT)"));
    auto const got = ask_all(*connection, {{{"SELECT 1"}}, endless, {{"SELECT 2"}}, {{"SELECT 3"}}}, {},
                             Deadline::after(200ms));
    CHECK(got == std::vector<std::string>{"1", "", "taken back", "taken back", "failed"});
}

TEST_CASE("A lock on the SQLite file is a temporary error for each of several queries, and passes") {
    test::Scratch const scratch;
    auto const path = scratch.database("CREATE TABLE t(k TEXT); INSERT INTO t VALUES('x')");
    auto const holder = open(path, true);
    test::TestLog log;
    Metrics metrics;
    sql::Pool pool({.servers = {file(path)}, .name = "t"}, log, metrics);
    Statement const all{{"SELECT k FROM t"}};
    auto const ask_pool = [&](Deadline deadline) {
        std::vector<sql::Query> const queries(3, sql::Query{&all, {}, deadline});
        Collected collected(queries.size());
        pool.query_all(queries, collected);
        return collected.texts;
    };
    REQUIRE(ask(*holder, {"BEGIN EXCLUSIVE"}).empty());
    for (auto const& each : ask_pool(Deadline::after(50ms))) CHECK(each.starts_with("temporary: "));
    REQUIRE(ask(*holder, {"COMMIT"}).empty());
    CHECK(ask_pool(Deadline::after(5s)) == std::vector<std::string>(3, "x"));
}

TEST_CASE("SQLite gives columns, rows, NULL and numbers as text, and binds whatever the value holds") {
    test::Scratch const scratch;
    auto const path = scratch.database("CREATE TABLE t(k TEXT, a TEXT, n INTEGER);"
                                       "INSERT INTO t VALUES('o''brien','x',1),('b\\c',NULL,2),('','e',3)");
    auto const connection = open(path);
    CHECK(ask(*connection, {"SELECT a, n FROM t WHERE k=", ""}, {"o'brien"}) == "x,1");
    CHECK(ask(*connection, {"SELECT a, n FROM t WHERE k=", ""}, {"b\\c"}) == "NULL,2");
    CHECK(ask(*connection, {"SELECT a FROM t WHERE k=", ""}, {""}) == "e");
    CHECK(ask(*connection, {"SELECT n FROM t WHERE n=", ""}, {"2"}) == "2");
    CHECK(ask(*connection, {"SELECT a FROM t WHERE k=", ""}, {"' OR '1'='1"}).empty());
    CHECK(ask(*connection, {"SELECT n FROM t ORDER BY n"}) == "1;2;3");
    CHECK(connection->healthy());
}

TEST_CASE("SQLite refuses what the statement says as permanent, and writing unless asked") {
    test::Scratch const scratch;
    auto const path = scratch.database("CREATE TABLE t(k TEXT)");
    auto const reader = open(path);
    CHECK(ask(*reader, {"SELEC 1"}).starts_with("permanent: "));
    CHECK(ask(*reader, {"SELECT nosuch FROM t"}).starts_with("permanent: "));
    CHECK(ask(*reader, {""}).starts_with("permanent: "));
    CHECK(ask(*reader, {"INSERT INTO t VALUES('x')"}).starts_with("permanent: "));
    auto const writer = open(path, true);
    CHECK(ask(*writer, {"INSERT INTO t VALUES('x')"}).empty());
    CHECK(ask(*reader, {"SELECT k FROM t"}) == "x");
}

TEST_CASE("An exclusive lock on a SQLite file is a temporary error at the deadline, and passes") {
    test::Scratch const scratch;
    auto const path = scratch.database("CREATE TABLE t(k TEXT); INSERT INTO t VALUES('x')");
    auto const holder = open(path, true);
    auto const reader = open(path);
    REQUIRE(ask(*holder, {"BEGIN EXCLUSIVE"}).empty());
    CHECK(ask(*reader, {"SELECT k FROM t"}, {}, Deadline::after(50ms)) ==
          "temporary: " + path + ": database is locked");
    REQUIRE(ask(*holder, {"COMMIT"}).empty());
    CHECK(ask(*reader, {"SELECT k FROM t"}) == "x");
}

TEST_CASE("An endless SQLite query ends at its deadline with a temporary error") {
    test::Scratch const scratch;
    auto const connection = open(scratch.database("CREATE TABLE t(k TEXT)"));
    CHECK(ask(*connection,
              {"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT count(*) FROM c"}, {},
              Deadline::after(50ms))
              .starts_with("temporary: "));
}

TEST_CASE("A SQLite answer with too many rows is refused") {
    test::Scratch const scratch;
    auto const connection = open(scratch.database("CREATE TABLE t(k TEXT)"));
    auto const many = [](std::size_t count) {
        return "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c LIMIT " + std::to_string(count) +
               ") SELECT x FROM c";
    };
    auto const most = connection->query(Statement{{many(sql::max_rows)}}, {}, Deadline::after(30s));
    REQUIRE(most);
    CHECK(most->rows.size() == sql::max_rows);
    CHECK(ask(*connection, {many(sql::max_rows + 1)}, {}, Deadline::after(30s))
              .ends_with("the answer is too large"));
}

TEST_CASE("A SQLite file that is missing, no database, or a directory is a temporary error") {
    test::Scratch const scratch;
    auto const missing = sql::connect(file(scratch.path("none.db")), Deadline::after(1s));
    REQUIRE(!missing);
    CHECK(missing.error().kind == ErrorKind::temporary);
    CHECK(!std::filesystem::exists(scratch.path("none.db")));
    scratch.write("junk.db", std::string(4096, 'x'));
    auto const junk = open(scratch.path("junk.db"));
    CHECK(ask(*junk, {"SELECT 1 FROM sqlite_master"}).starts_with("temporary: "));
    CHECK(!sql::connect(file(scratch.path("")), Deadline::after(1s)));
}

TEST_CASE("A SQLite file that was replaced is noticed, and the pool reads the new one") {
    test::Scratch const scratch;
    test::TestLog log;
    Metrics metrics;
    auto const path = scratch.database("CREATE TABLE t(k TEXT); INSERT INTO t VALUES('old')");
    sql::Pool pool({.servers = {file(path)}, .name = "t"}, log, metrics);
    Statement const all{{"SELECT k FROM t"}};
    CHECK(shown(pool.query(all, {}, Deadline::after(5s))) == "old");
    auto const next = scratch.database("CREATE TABLE t(k TEXT); INSERT INTO t VALUES('new')");
    std::filesystem::rename(next, path);
    CHECK(shown(pool.query(all, {}, Deadline::after(5s))) == "new");
}
