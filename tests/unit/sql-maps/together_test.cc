// Lookups asked together, from clients on a real socket to real SQLite files.
#include "sql-maps/together.h"

#include "common/net/stream.h"
#include "sql-maps/maps.h"
#include "sql-maps/session.h"
#include "tests/unit/sql/scratch.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <array>
#include <filesystem>
#include <list>

using namespace postern;
using namespace postern::sql_maps;
using namespace std::chrono_literals;

namespace {

constexpr auto schema = "CREATE TABLE v(k TEXT, a TEXT);"
                        "INSERT INTO v VALUES('alice@example.com','a1@x'),('two@example.com','t1@x')";

struct NoStock final : Stock {
    Result<Attributes> ask(Attributes const&) override { return permanent("none"); }
};

class World {
  public:
    World() {
        MapLimits limits;
        limits.directories = {scratch.path("")};
        limits.query_timeout = 5s;
        auto const stock = [](std::string const&, std::string_view) { return Answer(); };
        maps = std::make_shared<Maps>(limits, stock, log, metrics);
        auto listener = net::Listener::open(*net::parse_listen_address("unix:" + scratch.path("s")));
        REQUIRE(listener);
        crowd = std::make_unique<net::Crowd>(
            std::move(*listener), net::ServerLimits{}, 8,
            [this](net::Peer const&, net::Waker) {
                auto const lookup = [this](auto table, auto key) { return maps->lookup(table, key); };
                return std::make_unique<ProxymapSession>(lookup, std::make_unique<NoStock>(), false, log,
                                                         maps);
            },
            log, metrics, "test");
        crowd->answer_together([this](auto turns) { answer_together(*crowd, std::move(turns)); });
        crowd->start();
    }
    ~World() { crowd->stop(); }

    std::string table(std::string_view name, std::string_view query, std::string const& file) {
        auto const path = scratch.write(name, "dbpath = " + file + "\nquery = " + std::string(query) + "\n");
        std::filesystem::permissions(path, std::filesystem::perms(0640));
        return "sqlite:" + path;
    }

    test::Scratch scratch;
    test::TestLog log;
    Metrics metrics;
    std::string database = scratch.database(schema);
    std::shared_ptr<Maps> maps;
    std::unique_ptr<net::Crowd> crowd;
};

class Client {
  public:
    explicit Client(World const& world)
        : stream_(
              *net::connect(*net::parse_address("unix:" + world.scratch.path("s")), Deadline::after(20s))) {}
    void ask(std::string_view table, std::string_view key) {
        CHECK(stream_.write(encode({{"request", "lookup"},
                                    {"table", std::string(table)},
                                    {"flags", "64"},
                                    {"key", std::string(key)}}),
                            Deadline::after(20s)));
    }
    // "0 VALUE", "1 " for not found, "2 " for try again.
    std::string reply() {
        std::array<char, 4096> buffer{};
        AttributeDecoder decoder;
        while (true) {
            auto const list = decoder.next();
            if (!list) return list.error().text;
            if (*list)
                return std::string(value_of(**list, "status")) + " " + std::string(value_of(**list, "value"));
            auto const size = stream_.read(buffer, Deadline::after(20s));
            if (!size) return size.error().text;
            decoder.feed({buffer.data(), *size});
        }
    }

  private:
    net::Stream stream_;
};

constexpr auto by_key = "SELECT a FROM v WHERE k='%s'";

} // namespace

TEST_CASE("Each of many clients gets the answer to its own lookup, in whatever company it came") {
    World world;
    auto const other = world.scratch.database(
        "CREATE TABLE v(k TEXT, a TEXT); INSERT INTO v VALUES('alice@example.com','other@x')");
    std::vector<std::array<std::string, 3>> const lookups{
        {world.table("a.cf", by_key, world.database), "alice@example.com", "0 a1@x"},
        {world.table("b.cf", by_key, other), "alice@example.com", "0 other@x"},
        {world.table("a.cf", by_key, world.database), "nobody@example.com", "1 "},
        {world.table("c.cf", "SELECT nosuch FROM v WHERE k='%s'", world.database), "x", "2 "},
        {world.table("d.cf", "SELECT '%u' || '-' || a FROM v WHERE k='%s'", world.database),
         "two@example.com", "0 two-t1@x"},
        {"sqlite:" + world.scratch.path("none.cf"), "alice@example.com", "2 "},
    };
    std::list<Client> clients;
    for (int i = 0; i < 60; ++i) clients.emplace_back(world);
    for (int round = 0; round < 5; ++round) {
        std::size_t which = 0;
        for (auto& client : clients) {
            auto const& [table, key, reply] = lookups[which++ % lookups.size()];
            client.ask(table, key);
        }
        which = 0;
        for (auto& client : clients) CHECK(client.reply() == lookups[which++ % lookups.size()][2]);
    }
    world.crowd->stop();
    CHECK(world.log.expect("lookup of \"x\" failed"));
    CHECK(world.log.expect("none.cf"));
}

TEST_CASE("A query that takes long ends at its own time limit and holds no other lookup up") {
    World world;
    auto const table = world.table(
        "s.cf",
        "SELECT CASE WHEN '%u'='slow' THEN (WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) "
        "SELECT count(*) FROM c) ELSE 'ok-%u' END",
        world.database);
    std::list<Client> clients;
    for (int i = 0; i < 20; ++i) clients.emplace_back(world);
    Client slow(world);
    slow.ask(table, "slow@x");
    for (int round = 0; round < 3; ++round) {
        for (auto& client : clients) client.ask(table, "quick@x");
        for (auto& client : clients) CHECK(client.reply() == "0 ok-quick");
    }
    CHECK(!world.log.contains("slow@x"));
    CHECK(slow.reply() == "2 ");
    world.crowd->stop();
    CHECK(world.log.expect("lookup of \"slow@x\" failed"));
}
