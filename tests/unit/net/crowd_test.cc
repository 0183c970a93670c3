// Few threads for many connections: none waits for another's database.
#include "common/net/crowd.h"

#include "common/net/stream.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <condition_variable>
#include <new>

using namespace postern;
using namespace std::chrono_literals;
using net::Crowd;

namespace {

// A database that is silent until it is thawed.
struct Database {
    std::mutex mutex;
    std::condition_variable changed;
    bool frozen = true;
    int asked = 0;

    void wait() {
        std::unique_lock lock(mutex);
        ++asked;
        changed.notify_all();
        changed.wait(lock, [this] { return !frozen; });
    }
    void thaw() {
        std::lock_guard const lock(mutex);
        frozen = false;
        changed.notify_all();
    }
    bool was_asked(int times) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, 20s, [&] { return asked >= times; });
    }
};

// Echoes; "slow" asks the database first, "bad" is malformed, "throw" breaks.
class Echo : public net::Session {
  public:
    explicit Echo(Database& database) : database_(database) {}
    std::string greeting() override { return "hello\n"; }
    Result<std::string> receive(std::string_view bytes) override {
        if (bytes.starts_with("slow")) database_.wait();
        if (bytes.starts_with("bad")) return malformed("not a known word");
        if (bytes.starts_with("throw")) throw std::runtime_error("broken");
        return std::string(bytes);
    }

  private:
    Database& database_;
};

struct World {
    test::TempDir dir;
    test::TestLog log;
    Metrics metrics;
    Database database;
    std::atomic<int> failures{0}; // of the factory that are still to come
    std::unique_ptr<Crowd> crowd;

    explicit World(net::ServerLimits limits = {}, std::size_t workers = 1, bool starts = true) {
        auto listener = net::Listener::open(*net::parse_listen_address("unix:" + dir.path("s")));
        REQUIRE(listener);
        crowd = std::make_unique<Crowd>(
            std::move(*listener), limits, workers,
            [this](net::Peer const&, net::Waker) {
                if (failures-- > 0) throw std::bad_alloc();
                return std::make_unique<Echo>(database);
            },
            log, metrics, "test");
        if (starts) crowd->start();
    }
    ~World() {
        database.thaw();
        crowd.reset();
    }
};

// A client; says what it got.
class Client {
  public:
    explicit Client(World const& world)
        : stream_(*net::connect(*net::parse_address("unix:" + world.dir.path("s")), Deadline::after(20s))) {}
    void send(std::string_view text) { CHECK(stream_.write(text, Deadline::after(20s))); }
    std::string receive() {
        std::array<char, 256> buffer{};
        auto const size = stream_.read(buffer, Deadline::after(20s));
        return size ? std::string(buffer.data(), *size)
                    : "(" + std::string(to_string(size.error().kind)) + ")";
    }
    std::string ask(std::string_view text) {
        send(text);
        return receive();
    }

  private:
    net::Stream stream_;
};

} // namespace

TEST_CASE("A crowd's connections are greeted and answered, one after the other") {
    World world;
    Client one(world), two(world);
    CHECK(one.receive() == "hello\n");
    CHECK(two.receive() == "hello\n");
    for (int i = 0; i < 3; ++i) {
        CHECK(one.ask("a\n") == "a\n");
        CHECK(two.ask("b\n") == "b\n");
    }
    CHECK(world.metrics.text().contains("postern_connections_open{listener=\"test\"} 2"));
}

TEST_CASE("Lookups that a database holds up hold up no other, however many they are") {
    World world;
    std::list<Client> held;
    for (int i = 0; i < 20; ++i) {
        held.emplace_back(world);
        CHECK(held.back().receive() == "hello\n");
        held.back().send("slow\n");
    }
    CHECK(world.database.was_asked(20));
    Client other(world);
    CHECK(other.receive() == "hello\n");
    CHECK(other.ask("quick\n") == "quick\n");
    world.database.thaw();
    for (auto& client : held) CHECK(client.receive() == "slow\n");
}

TEST_CASE("A crowd's malformed and breaking requests end their own connection") {
    World world;
    Client other(world);
    CHECK(other.receive() == "hello\n");
    for (auto const* word : {"bad\n", "throw\n"}) {
        Client client(world);
        CHECK(client.receive() == "hello\n");
        CHECK(client.ask(word) == "(closed)");
    }
    CHECK(world.log.expect("closed: not a known word"));
    CHECK(world.log.expect("closed by a failure of our own: broken"));
    CHECK(other.ask("x\n") == "x\n");
}

TEST_CASE("A connection that finds no memory in a crowd is closed, and the next is served") {
    World world;
    world.failures = 1;
    Client refused(world);
    CHECK(refused.receive() == "(closed)");
    Client served(world);
    CHECK(served.receive() == "hello\n");
    CHECK(world.log.expect("a new connection is closed"));
}

TEST_CASE("At the limit of a crowd's connections the next one waits, and is served when one has gone") {
    World world({.max_connections = 2});
    auto first = std::make_unique<Client>(world);
    Client second(world), third(world);
    CHECK(first->receive() == "hello\n");
    CHECK(second.receive() == "hello\n");
    third.send("x\n");
    CHECK(second.ask("y\n") == "y\n");
    CHECK(world.metrics.text().contains("postern_connections_open{listener=\"test\"} 2"));
    first.reset();
    // Two writes, which may come as one.
    auto got = third.receive();
    if (got == "hello\n") got += third.receive();
    CHECK(got == "hello\nx\n");
}

TEST_CASE("Clients that wait at the same time are answered by one call, and what is handed over by another "
          "worker") {
    World world({.drain_timeout = 20s}, 4, false);
    std::mutex mutex; // guards seen
    std::vector<std::size_t> seen;
    world.crowd->answer_together([&](std::vector<Crowd::Turn> turns) {
        {
            std::lock_guard const lock(mutex);
            seen.push_back(turns.size());
        }
        for (auto& turn : turns) {
            if (turn.bytes().starts_with("drop")) continue;
            if (!turn.bytes().starts_with("slow")) {
                turn.let_session_answer();
                continue;
            }
            world.crowd->hand_over([&world, turn = std::move(turn)]() mutable {
                world.database.wait();
                turn.answer(std::string("late\n"));
            });
        }
    });
    world.crowd->start();
    std::list<Client> slow, quick;
    for (int i = 0; i < 8; ++i) {
        CHECK(slow.emplace_back(world).receive() == "hello\n");
        CHECK(quick.emplace_back(world).receive() == "hello\n");
    }
    for (auto& client : slow) client.send("slow\n");
    for (auto& client : quick) CHECK(client.ask("x\n") == "x\n");
    CHECK(world.database.was_asked(8));
    for (auto& client : quick) CHECK(client.ask("y\n") == "y\n");
    Client dropped(world);
    CHECK(dropped.receive() == "hello\n");
    CHECK(dropped.ask("drop\n") == "(closed)");
    world.database.thaw();
    for (auto& client : slow) CHECK(client.receive() == "late\n");
    std::lock_guard const lock(mutex);
    CHECK(std::ranges::max(seen) <= Crowd::max_together);
}

TEST_CASE("Clients that are answered together by something that breaks are closed, and others are served") {
    World world({}, 2, false);
    world.crowd->answer_together([](std::vector<Crowd::Turn> turns) {
        if (turns.front().bytes().starts_with("throw")) throw std::runtime_error("broken");
        for (auto& turn : turns) turn.let_session_answer();
    });
    world.crowd->start();
    Client broken(world), served(world);
    CHECK(broken.receive() == "hello\n");
    CHECK(broken.ask("throw\n") == "(closed)");
    CHECK(served.receive() == "hello\n");
    CHECK(served.ask("x\n") == "x\n");
    world.crowd->stop(); // the line may come after the closing
    CHECK(world.log.expect("closed by a failure of our own: broken"));
}

TEST_CASE("A stopping crowd finishes what was handed over") {
    World world({.drain_timeout = 20s}, 2, false);
    world.crowd->answer_together([&world](std::vector<Crowd::Turn> turns) {
        for (auto& turn : turns)
            world.crowd->hand_over([&world, turn = std::move(turn)]() mutable {
                world.database.wait();
                turn.answer(std::string("late\n"));
            });
    });
    world.crowd->start();
    std::list<Client> clients;
    for (int i = 0; i < 4; ++i) {
        CHECK(clients.emplace_back(world).receive() == "hello\n");
        clients.back().send("slow\n");
    }
    CHECK(world.database.was_asked(4));
    std::thread stopper([&] { world.crowd->stop(); });
    world.database.thaw();
    for (auto& client : clients) CHECK(client.receive() == "late\n");
    stopper.join();
}

TEST_CASE("A stopping crowd answers what was asked and closes what is idle") {
    World world({.drain_timeout = 20s}, 2);
    Client busy(world), idle(world);
    CHECK(busy.receive() == "hello\n");
    CHECK(idle.receive() == "hello\n");
    busy.send("slow\n");
    CHECK(world.database.was_asked(1));
    std::thread stopper([&] { world.crowd->stop(); });
    world.database.thaw();
    CHECK(busy.receive() == "slow\n");
    stopper.join();
    CHECK(idle.receive() == "(closed)");
}
