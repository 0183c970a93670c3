// The pool over connections that obey a script: bounds, waiting, repair, hosts that fail and come back.
#include "common/sql/pool.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <future>
#include <map>
#include <mutex>
#include <new>
#include <thread>

using namespace postern;
using namespace std::chrono_literals;
using sql::Rows;
using sql::ServerSettings;
using sql::Statement;

namespace {

// What the made-up servers do, and what was asked of them.
struct World {
    std::mutex mutex; // guards everything
    std::condition_variable changed;
    std::map<std::string, bool> down;
    std::map<std::string, int> generation; // a restart ends older connections
    std::map<std::string, int> connects;
    std::vector<std::string> asked; // hosts, in order
    int open = 0;
    int most_open = 0;
    int running = 0;
    bool hold = false; // queries wait until released
    bool refuses = false;
    int without_memory = 0;  // so many connects and queries find none
    int dies_after = -1;     // that many queries the servers restart; -1: never
    bool shows_death = true; // healthy() knows about a restart
};

class FakeConnection final : public sql::Connection {
  public:
    FakeConnection(World& world, std::string host) : world_(world), host_(std::move(host)) {
        std::lock_guard const lock(world_.mutex);
        generation_ = world_.generation[host_];
        world_.most_open = std::max(world_.most_open, ++world_.open);
    }
    ~FakeConnection() override {
        std::lock_guard const lock(world_.mutex);
        --world_.open;
        world_.changed.notify_all();
    }
    Result<Rows> query(Statement const&, std::span<std::string const>, Deadline deadline) override {
        std::unique_lock lock(world_.mutex);
        world_.asked.push_back(host_);
        if (world_.dies_after >= 0 && world_.dies_after-- == 0) ++world_.generation[host_];
        ++world_.running;
        world_.changed.notify_all();
        bool const released = world_.changed.wait_until(lock, deadline.point(), [&] { return !world_.hold; });
        --world_.running;
        if (!released) return temporary("too slow");
        if (world_.down[host_] || world_.generation[host_] != generation_) return temporary("gone");
        if (world_.without_memory-- > 0) throw std::bad_alloc();
        if (world_.refuses) return permanent("syntax error");
        return Rows{{"host"}, {{host_}}};
    }
    bool healthy() override {
        std::lock_guard const lock(world_.mutex);
        return !world_.shows_death || (world_.generation[host_] == generation_ && !world_.down[host_]);
    }

  private:
    World& world_;
    std::string host_;
    int generation_ = 0;
};

sql::PoolSettings settings(World& world, std::vector<std::string> const& hosts) {
    sql::PoolSettings out;
    out.name = "test";
    out.size = 2;
    for (auto const& host : hosts) {
        out.servers.emplace_back();
        out.servers.back().driver = sql::Driver::mariadb;
        out.servers.back().host = host;
    }
    out.connector = [&world](ServerSettings const& server,
                             Deadline) -> Result<std::unique_ptr<sql::Connection>> {
        {
            std::lock_guard const lock(world.mutex);
            ++world.connects[server.host];
            if (world.down[server.host]) return temporary("connection refused");
            if (world.without_memory-- > 0) throw std::bad_alloc();
        }
        return std::make_unique<FakeConnection>(world, server.host);
    };
    return out;
}

std::string ask(sql::Pool& pool, std::chrono::milliseconds limit = 10s) {
    auto const rows = pool.query(Statement{}, {}, Deadline::after(limit));
    if (!rows) return std::string(to_string(rows.error().kind)) + ": " + rows.error().text;
    return *rows->rows[0][0];
}

// What each of several queries got; "" until then.
class Collected final : public sql::Answers {
  public:
    explicit Collected(std::size_t count) : texts(count) {}
    void answer(std::size_t which, Result<Rows> rows) override {
        texts.at(which) +=
            rows ? *rows->rows[0][0] : std::string(to_string(rows.error().kind)) + ": " + rows.error().text;
    }
    void take_back(std::vector<std::size_t> which) override {
        for (auto const each : which) texts.at(each) += "taken back";
    }
    std::vector<std::string> texts;
};

std::vector<std::string> ask_all(sql::Pool& pool, std::size_t count,
                                 Deadline deadline = Deadline::after(10s)) {
    Statement const statement;
    std::vector<sql::Query> const queries(count, sql::Query{&statement, {}, deadline});
    Collected collected(count);
    pool.query_all(queries, collected);
    return collected.texts;
}

std::size_t threads_now() {
    std::size_t count = 0;
    for ([[maybe_unused]] auto const& each : std::filesystem::directory_iterator("/proc/self/task")) ++count;
    return count;
}

} // namespace

TEST_CASE("A pool has a thread once it was asked, and not before: its maker may fork") {
    World world;
    test::TestLog log;
    Metrics metrics;
    auto const before = threads_now();
    sql::Pool pool(settings(world, {"a"}), log, metrics);
    CHECK(threads_now() == before);
    CHECK(ask(pool) == "a");
    CHECK(threads_now() == before + 1);
}

TEST_CASE("Several queries are asked on one connection, and each is answered once") {
    World world;
    test::TestLog log;
    Metrics metrics;
    sql::Pool pool(settings(world, {"a"}), log, metrics);
    CHECK(ask_all(pool, 5) == std::vector<std::string>(5, "a"));
    CHECK(world.most_open == 1);
    CHECK(metrics.text().contains("postern_sql_queries_total{pool=\"test\",result=\"ok\"} 5"));
    CHECK(metrics.text().contains("postern_sql_batched_queries_total{pool=\"test\"} 5"));
    CHECK(metrics.text().contains("postern_sql_connections_busy{pool=\"test\"} 0"));
}

TEST_CASE("A connection that dies between several queries costs none of them, and none is answered twice") {
    for (int const after : {0, 1, 3, 4}) {
        World world;
        test::TestLog log;
        Metrics metrics;
        sql::Pool pool(settings(world, {"a"}), log, metrics);
        CHECK(ask(pool) == "a");
        world.dies_after = after;
        CHECK(ask_all(pool, 5) == std::vector<std::string>(5, "a"));
        CHECK(world.connects["a"] == 2);
        CHECK(world.open == 1);
    }
}

TEST_CASE("Several queries that the server refuses are each refused, and keep the connection") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.refuses = true;
    sql::Pool pool(settings(world, {"a"}), log, metrics);
    CHECK(ask_all(pool, 3) == std::vector<std::string>(3, "permanent: syntax error"));
    CHECK(world.asked.size() == 3);
    CHECK(world.connects["a"] == 1);
    CHECK(metrics.text().contains("postern_sql_queries_total{pool=\"test\",result=\"refused\"} 3"));
}

TEST_CASE("Several queries with every host down all fail at once, as temporary") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.down["a"] = true;
    auto how = settings(world, {"a"});
    how.retry_interval = 1h;
    sql::Pool pool(how, log, metrics);
    CHECK(ask_all(pool, 3) ==
          std::vector<std::string>(
              3, "temporary: no database host answers; the last one tried was connection refused"));
    CHECK(log.expect("connection refused"));
}

TEST_CASE("Several queries on a connection that was never good are answered by the other host") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.dies_after = 0;
    sql::Pool pool(settings(world, {"/a", "b"}), log, metrics);
    CHECK(ask_all(pool, 3) == std::vector<std::string>(3, "b"));
    CHECK(log.expect("connect to mysql server /a: gone"));
}

TEST_CASE("The pool keeps one connection for queries that follow each other") {
    World world;
    test::TestLog log;
    Metrics metrics;
    sql::Pool pool(settings(world, {"a"}), log, metrics);
    CHECK(world.connects["a"] == 0);
    for (int i = 0; i < 5; ++i) CHECK(ask(pool) == "a");
    CHECK(world.connects["a"] == 1);
    CHECK(metrics.text().contains("postern_sql_queries_total{pool=\"test\",result=\"ok\"} 5"));
    CHECK(metrics.text().contains("postern_sql_connections{pool=\"test\"} 1"));
}

TEST_CASE("Many threads never have more than the pool's size of connections, and all are answered") {
    World world;
    test::TestLog log;
    Metrics metrics;
    sql::Pool pool(settings(world, {"a"}), log, metrics);
    std::atomic<int> answered{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 20; ++t)
        threads.emplace_back([&] {
            for (int i = 0; i < 20; ++i) answered += ask(pool) == "a" ? 1 : 0;
        });
    for (auto& thread : threads) thread.join();
    CHECK(answered == 400);
    CHECK(world.most_open <= 2);
}

TEST_CASE("A caller who finds every connection busy waits for its deadline and is told so") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.hold = true;
    sql::Pool pool(settings(world, {"a"}), log, metrics);
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) threads.emplace_back([&] { ask(pool); });
    {
        std::unique_lock lock(world.mutex);
        world.changed.wait(lock, [&] { return world.running == 2; });
    }
    CHECK(ask(pool, 20ms).starts_with("temporary: no database connection was free in time; all 2 are busy"));
    {
        std::lock_guard const lock(world.mutex);
        world.hold = false;
    }
    world.changed.notify_all();
    for (auto& thread : threads) thread.join();
    CHECK(ask(pool) == "a");
}

TEST_CASE("What finds no memory fails alone, and the pool keeps the room for its connection") {
    World world;
    test::TestLog log;
    Metrics metrics;
    auto small = settings(world, {"a"});
    small.size = 1;
    small.retry_interval = 0ms;
    sql::Pool pool(small, log, metrics);
    world.without_memory = 1; // for the first connection
    CHECK(ask(pool, 1s) == "a");
    CHECK(log.expect("connect to mysql server a: std::bad_alloc; pool=test"));
    world.without_memory = 1; // for the answer
    CHECK_THROWS_AS(ask(pool), std::bad_alloc);
    CHECK(ask(pool, 1s) == "a");
    world.without_memory = 1;
    CHECK_THROWS_AS(ask_all(pool, 2), std::bad_alloc);
    CHECK(ask(pool, 1s) == "a");
    CHECK(metrics.text().contains("postern_sql_connections{pool=\"test\"} 1"));
    CHECK(metrics.text().contains("postern_sql_connections_busy{pool=\"test\"} 0"));
}

TEST_CASE("A restarted server costs no query, whether its closing is seen or not") {
    for (bool const shows_death : {true, false}) {
        World world;
        test::TestLog log;
        Metrics metrics;
        world.shows_death = shows_death;
        sql::Pool pool(settings(world, {"a"}), log, metrics);
        CHECK(ask(pool) == "a");
        ++world.generation["a"];
        CHECK(ask(pool) == "a");
        CHECK(world.connects["a"] == 2);
        CHECK(world.open == 1);
    }
}

TEST_CASE("A refused statement is permanent, asks no other host, and keeps the connection") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.refuses = true;
    sql::Pool pool(settings(world, {"a", "b"}), log, metrics);
    CHECK(ask(pool) == "permanent: syntax error");
    CHECK(ask(pool) == "permanent: syntax error");
    CHECK(world.asked.size() == 2);
    CHECK(world.connects["a"] + world.connects["b"] == 1);
}

TEST_CASE("With one host down the other answers, and the dead one is left alone") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.down["a"] = true;
    auto how = settings(world, {"a", "b"});
    how.retry_interval = how.longest_retry_interval = 1h;
    sql::Pool pool(how, log, metrics);
    for (int i = 0; i < 20; ++i) {
        CHECK(ask(pool) == "b");
        ++world.generation["b"]; // every query has to connect anew
    }
    CHECK(world.connects["a"] <= 1);
    log.expect("connect to mysql server a: connection refused; pool=test");
}

TEST_CASE("With every host down the error is temporary and at once, and the host is back after the pause") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.down["a"] = true;
    auto how = settings(world, {"a"});
    how.retry_interval = 30ms;
    sql::Pool pool(how, log, metrics);
    for (int i = 0; i < 5; ++i)
        CHECK(ask(pool) == "temporary: no database host answers; the last one tried was connection refused");
    CHECK(log.expect("connect to mysql server a: connection refused"));
    CHECK(metrics.text().contains("postern_sql_host_up{pool=\"test\",host=\"a\"} 0"));
    {
        std::lock_guard const lock(world.mutex);
        world.down["a"] = false;
    }
    std::this_thread::sleep_for(40ms);
    CHECK(ask(pool) == "a");
    CHECK(log.contains("mysql server a answers again"));
}

TEST_CASE("While no host answers they are tried ten times a second, however long a host that failed is left "
          "alone") {
    World world;
    test::TestLog log;
    Metrics metrics;
    world.down["a"] = true;
    auto how = settings(world, {"a"});
    how.retry_interval = how.longest_retry_interval = 1h;
    sql::Pool pool(how, log, metrics);
    auto const begun = std::chrono::steady_clock::now();
    for (int i = 0; i < 50; ++i) CHECK(ask(pool).starts_with("temporary: no database host answers"));
    CHECK(world.connects["a"] <= 1 + (std::chrono::steady_clock::now() - begun) / 100ms);
    world.down["a"] = false;
    while (ask(pool) != "a") REQUIRE(std::chrono::steady_clock::now() - begun < 20s);
    std::size_t told = 0;
    for (auto const& line : log.lines()) told += line.text.contains("connection refused") ? 1U : 0U;
    CHECK(told == 1);
    CHECK(log.expect("connection refused"));
}

TEST_CASE("While one lookup finds out whether a host is back, the others wait for what it finds") {
    World world;
    test::TestLog log;
    Metrics metrics;
    std::atomic<int> tries = 0;
    std::promise<void> decided;
    auto const decision = decided.get_future().share();
    auto how = settings(world, {"a"});
    how.size = 20;
    how.retry_interval = 200ms;
    how.connector = [&, connect = how.connector](sql::ServerSettings const& server, Deadline deadline) {
        if (++tries > 1) decision.wait();
        return connect(server, deadline);
    };
    world.down["a"] = true;
    sql::Pool pool(how, log, metrics);
    CHECK(ask(pool).starts_with("temporary: no database host answers"));
    CHECK(log.expect("connection refused"));
    {
        std::lock_guard const lock(world.mutex);
        world.down["a"] = false;
    }
    auto first = std::async(std::launch::async, [&] {
        while (ask(pool) != "a") std::this_thread::yield();
    });
    while (tries < 2) std::this_thread::yield();
    std::vector<std::future<std::string>> others;
    for (int i = 0; i < 10; ++i) others.push_back(std::async(std::launch::async, [&] { return ask(pool); }));
    for (int i = 0; i < 1000; ++i) std::this_thread::yield();
    decided.set_value();
    first.get();
    for (auto& other : others) CHECK(other.get() == "a");
}

TEST_CASE("Sockets are preferred to addresses and those to URIs") {
    World world;
    test::TestLog log;
    Metrics metrics;
    sql::Pool sockets(settings(world, {"postgresql://x", "a", "/run/s"}), log, metrics);
    for (int i = 0; i < 10; ++i, ++world.generation["/run/s"]) CHECK(ask(sockets) == "/run/s");
    sql::Pool addresses(settings(world, {"postgresql://x", "a"}), log, metrics);
    for (int i = 0; i < 10; ++i, ++world.generation["a"]) CHECK(ask(addresses) == "a");
}

TEST_CASE("A query that outlives its deadline sends the next one to another host") {
    World world;
    test::TestLog log;
    Metrics metrics;
    sql::Pool pool(settings(world, {"/slow", "b"}), log, metrics);
    world.hold = true;
    CHECK(ask(pool, 20ms) == "temporary: too slow");
    world.hold = false;
    CHECK(ask(pool) == "b");
    CHECK(log.expect("too slow"));
}

TEST_CASE("A connection that idles is closed") {
    World world;
    test::TestLog log;
    Metrics metrics;
    auto how = settings(world, {"a"});
    how.idle_time = 10ms;
    sql::Pool pool(how, log, metrics);
    CHECK(ask(pool) == "a");
    std::unique_lock lock(world.mutex);
    CHECK(world.changed.wait_for(lock, 10s, [&] { return world.open == 0; }));
}

TEST_CASE("A pool without hosts says so") {
    test::TestLog log;
    Metrics metrics;
    sql::Pool pool({}, log, metrics);
    CHECK(ask(pool) == "temporary: no database host is configured");
}
