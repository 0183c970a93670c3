// Few threads for many connections: none waits for another's database.
#include "common/net/switchboard.h"

#include "common/net/stream.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <array>
#include <atomic>
#include <condition_variable>
#include <latch>
#include <map>
#include <new>

using namespace postern;
using namespace std::chrono_literals;
using net::Switchboard;

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
    std::unique_ptr<Switchboard> switchboard;

    explicit World(net::ServerLimits limits = {}, std::size_t workers = 1) {
        auto listener = net::Listener::open(*net::parse_listen_address("unix:" + dir.path("s")));
        REQUIRE(listener);
        switchboard = std::make_unique<Switchboard>(
            std::move(*listener), limits, workers,
            [this](net::Peer const&, net::Waker) {
                if (failures-- > 0) throw std::bad_alloc();
                return std::make_unique<Echo>(database);
            },
            log, metrics, "test");
        switchboard->start();
    }
    ~World() {
        database.thaw();
        switchboard.reset();
    }
};

// A client; says what it got.
class Client {
  public:
    template <class AnyWorld>
    explicit Client(AnyWorld const& world)
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

TEST_CASE("A switchboard's connections are greeted and answered, one after the other") {
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

TEST_CASE("Requests that a database holds up at a switchboard hold up no other, however many they are") {
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

TEST_CASE("A slow lookup that is asked for before its greeting holds up no other") {
    World world;
    std::list<Client> held;
    for (int i = 0; i < 20; ++i) held.emplace_back(world).send("slow\n");
    CHECK(world.database.was_asked(20));
    Client other(world);
    CHECK(other.receive() == "hello\n");
    CHECK(other.ask("quick\n") == "quick\n");
}

TEST_CASE("A switchboard's malformed and breaking requests end their own connection") {
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

TEST_CASE("A connection that finds no memory in a switchboard is closed, and the next is served") {
    World world;
    world.failures = 1;
    Client refused(world);
    CHECK(refused.receive() == "(closed)");
    Client served(world);
    CHECK(served.receive() == "hello\n");
    CHECK(world.log.expect("a new connection is closed"));
}

TEST_CASE("At the limit of a switchboard's connections the next one waits, and is served when one has gone") {
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

TEST_CASE("A stopping switchboard answers what was asked and closes what is idle") {
    World world({.drain_timeout = 20s}, 2);
    Client busy(world), idle(world);
    CHECK(busy.receive() == "hello\n");
    CHECK(idle.receive() == "hello\n");
    busy.send("slow\n");
    CHECK(world.database.was_asked(1));
    std::thread stopper([&] { world.switchboard->stop(); });
    world.database.thaw();
    CHECK(busy.receive() == "slow\n");
    stopper.join();
    CHECK(idle.receive() == "(closed)");
}

// ---- Sessions that are woken ----------------------------------------------------------------------------

namespace {

// Keeps a worker and the host.
struct Hold {
    std::latch begun{2}, end{1};
    void wait() {
        begun.count_down();
        end.wait();
    }
};

// What a Waking session is told by the test's threads, and tells of itself.
struct Desk {
    std::mutex mutex; // guards all below
    std::condition_variable changed;
    std::map<std::string, net::Waker> wakers; // of "ask NAME"
    std::map<std::string, std::string> answers;
    int sessions = 0;
    std::atomic<bool> calm{false};
    std::atomic<Hold*> hold{nullptr};

    net::Waker waker(std::string const& name) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, 20s, [&] { return wakers.contains(name); });
        return wakers.at(name);
    }
    void answer(std::string const& name, std::string const& text) {
        auto const waker = this->waker(name);
        {
            std::lock_guard const lock(mutex);
            answers[name] = text;
        }
        waker.wake();
    }
    bool comes_to(int count) {
        std::unique_lock lock(mutex);
        return changed.wait_for(lock, 20s, [&] { return sessions == count; });
    }
    bool is_empty() { return comes_to(0); }
};

// Line by line: "ask NAME" is answered when another thread has the answer ("end" ends the session in wake()),
// "soon" by the clock, "flood" with more than a socket takes, "restless" when the desk is calm, which it asks
// without a pause, "hold" when the test lets it go on; the others are echoed.
class Waking : public net::Session {
  public:
    Waking(Desk& desk, net::Waker waker) : desk_(desk), waker_(std::move(waker)) { count(1); }
    ~Waking() override { count(-1); }
    std::string greeting() override { return "hello\n"; }
    Result<std::string> receive(std::string_view bytes) override {
        in_ += bytes;
        std::string out;
        for (auto end = in_.find('\n'); end != std::string::npos; end = in_.find('\n')) {
            out += line(in_.substr(0, end));
            in_.erase(0, end + 1);
        }
        return out;
    }
    Result<std::string> wake() override {
        if (wakes_at_ && wakes_at_->expired()) {
            wakes_at_.reset();
            return "the clock\n";
        }
        if (restless_) {
            restless_ = !desk_.calm;
            if (restless_) waker_.wake();
            return restless_ ? "" : "calm\n";
        }
        if (name_.empty()) return "";
        std::lock_guard const lock(desk_.mutex);
        auto const answer = desk_.answers.find(name_);
        if (answer == desk_.answers.end()) return "";
        name_.clear();
        if (answer->second == "throw") throw std::runtime_error("broken");
        if (answer->second == "bad") return malformed("not a known answer");
        finished_ = answer->second == "end";
        return answer->second + "\n";
    }
    std::string farewell(Error const& error) override {
        return "sorry " + std::string(to_string(error.kind)) + "\n";
    }
    bool finished() const override { return finished_; }
    bool busy() const override { return !name_.empty() || wakes_at_ || restless_; }
    std::optional<Deadline> wakes_at() const override { return wakes_at_; }

  private:
    std::string line(std::string const& text) {
        bool const is_soon = text == "soon";
        if (is_soon) wakes_at_ = Deadline::after(30ms);
        if (text == "hold") desk_.hold.load()->wait();
        if (text == "restless") {
            restless_ = true;
            waker_.wake();
            return "";
        }
        if (text == "flood") return std::string(4'000'000, 'x') + "\n";
        if (!text.starts_with("ask ") && !is_soon) return text + "\n";
        if (!is_soon) name_ = text.substr(4);
        std::lock_guard const lock(desk_.mutex);
        desk_.wakers.insert_or_assign(is_soon ? text : name_, waker_);
        desk_.changed.notify_all();
        return "";
    }
    void count(int by) {
        std::lock_guard const lock(desk_.mutex);
        desk_.sessions += by;
        desk_.changed.notify_all();
    }

    Desk& desk_;
    net::Waker waker_;
    std::string in_, name_;
    std::optional<Deadline> wakes_at_;
    bool finished_ = false;
    bool restless_ = false;
};

struct WakingWorld {
    test::TempDir dir;
    test::TestLog log;
    Metrics metrics;
    Desk desk;
    std::unique_ptr<Switchboard> switchboard;

    explicit WakingWorld(net::ServerLimits limits = {}, std::size_t workers = 2) {
        auto listener = net::Listener::open(*net::parse_listen_address("unix:" + dir.path("s")));
        REQUIRE(listener);
        switchboard = std::make_unique<Switchboard>(
            std::move(*listener), limits, workers,
            [this](net::Peer const&, net::Waker waker) {
                if (auto* hold = desk.hold.load()) hold->wait();
                return std::make_unique<Waking>(desk, std::move(waker));
            },
            log, metrics, "test", 8);
        switchboard->start();
    }
};

// Says nothing of the greeting.
struct Greeted : Client {
    template <class AnyWorld>
    explicit Greeted(AnyWorld const& world) : Client(world) {
        CHECK(receive() == "hello\n");
    }
};

} // namespace

TEST_CASE("A session that another thread wakes answers at once, and the others meanwhile") {
    WakingWorld world;
    Greeted one(world), two(world);
    one.send("ask a\n");
    CHECK(two.ask("b\n") == "b\n");
    world.desk.answer("a", "found");
    CHECK(one.receive() == "found\n");
    CHECK(one.ask("c\n") == "c\n");
}

TEST_CASE("What many threads wake at the same time is answered once each") {
    WakingWorld world;
    std::list<Greeted> clients;
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; ++i) {
        auto const name = std::to_string(i);
        clients.emplace_back(world).send("ask " + name + "\n");
        threads.emplace_back([&world, name] {
            auto const waker = world.desk.waker(name);
            waker.wake(); // without cause
            world.desk.answer(name, "for " + name);
            waker.wake();
        });
    }
    int i = 0;
    for (auto& client : clients) CHECK(client.receive() == "for " + std::to_string(i++) + "\n");
    for (auto& thread : threads) thread.join();
    for (auto& client : clients) CHECK(client.ask("still\n") == "still\n");
}

TEST_CASE("A switchboard's session is woken by the clock") {
    WakingWorld world;
    Greeted client(world);
    CHECK(client.ask("soon\n") == "the clock\n");
    CHECK(client.ask("soon\n") == "the clock\n");
}

TEST_CASE("A session that ends, breaks or is malformed in wake() ends its connection") {
    WakingWorld world;
    Greeted other(world);
    for (auto const& [how, heard] :
         {std::pair{"end", "end\n"}, {"bad", "sorry malformed\n"}, {"throw", "(closed)"}}) {
        Greeted client(world);
        client.send(std::string("ask ") + how + "\n");
        world.desk.answer(how, how);
        CHECK(client.receive() == heard);
        CHECK(client.receive() == "(closed)");
    }
    CHECK(world.log.expect("closed: not a known answer"));
    CHECK(world.log.expect("closed by a failure of our own: broken"));
    CHECK(other.ask("x\n") == "x\n");
}

TEST_CASE("Waking a session whose peer has gone, or whose switchboard has, does nothing") {
    WakingWorld world;
    {
        Greeted client(world);
        client.send("ask gone\n");
        world.desk.waker("gone");
    }
    CHECK(world.desk.is_empty());
    world.desk.answer("gone", "too late");
    Greeted client(world);
    client.send("ask later\n");
    world.desk.waker("later");
    world.switchboard.reset();
    CHECK(world.desk.is_empty());
    world.desk.answer("later", "too late");
}

TEST_CASE("A switchboard's idle connection is ended politely at the idle time, and a busy one is not") {
    WakingWorld world({.idle_timeout = 50ms});
    Greeted busy(world);
    busy.send("ask x\n");
    Greeted idle(world);
    CHECK(idle.receive() == "sorry temporary\n");
    CHECK(idle.receive() == "(closed)");
    world.desk.answer("x", "found");
    CHECK(busy.receive() == "found\n");
    CHECK(busy.receive() == "sorry temporary\n");
}

TEST_CASE("A stopping switchboard waits for busy sessions and for what wakes them") {
    WakingWorld world({.drain_timeout = 20s});
    Greeted idle(world), asking(world), sleeping(world);
    asking.send("ask x\n");
    world.desk.waker("x");
    sleeping.send("soon\n");
    world.desk.waker("soon");
    std::thread stopper([&] { world.switchboard->stop(); });
    CHECK(idle.receive() == "sorry temporary\n");
    CHECK_FALSE(net::connect(*net::parse_address("unix:" + world.dir.path("s")), Deadline::after(20ms)));
    world.desk.answer("x", "found");
    for (auto const& [client, heard] : {std::pair{&asking, "found\n"}, {&sleeping, "the clock\n"}}) {
        auto got = client->receive(); // perhaps with the farewell
        if (got == heard) got += client->receive();
        CHECK(got == std::string(heard) + "sorry temporary\n");
    }
    stopper.join();
    CHECK(world.desk.is_empty());
}

TEST_CASE("A stopping switchboard ends busy sessions when its patience is over") {
    WakingWorld world({.drain_timeout = 50ms});
    Greeted client(world);
    client.send("ask x\n");
    world.desk.waker("x");
    world.switchboard->stop();
    CHECK(world.desk.is_empty());
    CHECK(client.receive() == "(closed)");
}

TEST_CASE("Peers that read nothing, send without end or go at any moment keep a switchboard's one thread "
          "from nobody") {
    WakingWorld world({.write_timeout = 200ms}, 1);
    Greeted silent(world), other(world);
    silent.send("flood\n");
    for (int i = 0; i < 50; ++i) {
        Client hurried(world);
        if (i % 2 == 0) hurried.send("half a requ");
    }
    Greeted endless(world);
    endless.send(std::string(100'000, 'a') + "\n");
    CHECK(other.ask("x\n") == "x\n");
    std::string got;
    while (!got.ends_with('\n')) got += endless.receive();
    CHECK(got.size() == 100'001);
    CHECK(world.desk.comes_to(2)); // the flood's rest is dropped when its time is over
    CHECK(other.ask("y\n") == "y\n");
}

TEST_CASE("A peer that reads slowly gets all of a long answer") {
    WakingWorld world;
    Greeted slow(world);
    slow.send("flood\nnext\n");
    std::string got;
    while (!got.ends_with("next\n")) got += slow.receive();
    CHECK(got == std::string(4'000'000, 'x') + "\nnext\n");
}

TEST_CASE("The answers of those who were served together do not wait for one who is woken on and on") {
    WakingWorld world({}, 1);
    Greeted held(world), restless(world), other(world);
    Hold hold;
    world.desk.hold = &hold;
    held.send("hold\n");
    Client late(world); // the host has it in hand, and adds no worker
    hold.begun.wait();
    restless.send("restless\n");
    other.send("x\n");
    hold.end.count_down();
    CHECK(other.receive() == "x\n");
    world.desk.calm = true;
    CHECK(restless.receive() == "calm\n");
    CHECK(held.receive() == "hold\n");
    CHECK(late.receive() == "hello\n");
}
