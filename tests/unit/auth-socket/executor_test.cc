// Fair slots, bounded queues, and penalties.
#include "auth-socket/client_network.h"
#include "auth-socket/executor.h"
#include "auth-socket/fair_threads.h"
#include "auth-socket/penalty.h"
#include "tests/unit/support/catch.h"

#include <atomic>
#include <latch>
#include <semaphore>
#include <stdexcept>
#include <system_error>
#include <thread>

#include <pthread.h>

using namespace postern;
using namespace postern::auth_socket;
using namespace std::chrono_literals;

TEST_CASE("workers do every job, and refuse what passes their queue") {
    Metrics metrics;
    std::atomic<int> done{0};
    std::latch gate(1);
    {
        Workers workers({.threads = 1, .queue = 3, .queue_per_key = 2}, metrics);
        std::latch started(1);
        REQUIRE(workers.submit("a", [&] {
            started.count_down();
            gate.wait();
            ++done;
        }));
        started.wait();
        CHECK(workers.submit("a", [&] { ++done; }));
        CHECK(workers.submit("a", [&] { ++done; }));
        CHECK_FALSE(workers.submit("a", [&] { ++done; })); // its own share
        CHECK(workers.submit("b", [&] { ++done; }));
        CHECK_FALSE(workers.submit("c", [&] { ++done; })); // the whole queue
        gate.count_down();
        std::latch last(1);
        while (!workers.submit("z", [&] { last.count_down(); })) std::this_thread::yield();
        last.wait();
    }
    CHECK(done == 4);
}

TEST_CASE("a few addresses do not fill the queue for everybody") {
    Metrics metrics;
    std::latch gate(1), started(1);
    Workers workers({.threads = 1, .queue = 400, .queue_per_key = 100, .least_per_key = 4}, metrics);
    REQUIRE(workers.submit("first", [&] {
        started.count_down();
        gate.wait();
    }));
    started.wait();
    auto const fill = [&](std::string const& key) {
        int count = 0;
        while (workers.submit(key, [] {})) ++count;
        return count;
    };
    CHECK(fill("a") == 100);
    CHECK(fill("b") == 75); // of 300 that were left, each of a and b taking from the other's third
    for (int i = 0; i < 10; ++i) CHECK(fill("c" + std::to_string(i)) >= 4);
    gate.count_down();
}

TEST_CASE("one address never gets all threads") {
    for (int const threads : {2, 3, 4}) {
        Metrics metrics;
        int const share = threads - 1;
        std::latch gate(1), flood_running(share), other_done(1);
        Workers workers({.threads = static_cast<std::size_t>(threads), .queue = 100, .queue_per_key = 50},
                        metrics);
        for (int i = 0; i < 20; ++i)
            REQUIRE(workers.submit("flood", [&, i] {
                if (i < share) flood_running.count_down();
                gate.wait();
            }));
        flood_running.wait();
        REQUIRE(workers.submit("other", [&] { other_done.count_down(); }));
        other_done.wait(); // while the flood still holds its share
        gate.count_down();
    }
    SUCCEED();
}

TEST_CASE("few workers take one job after the other, and more are begun when something holds these up") {
    Metrics metrics;
    {
        std::latch both(2);
        std::vector<std::thread::id> by;
        Workers workers({.threads = 4, .brisk = 1, .patience = 1h}, metrics);
        for (int i = 0; i < 2; ++i)
            REQUIRE(workers.submit("one", [&] {
                by.push_back(std::this_thread::get_id());
                both.count_down();
            }));
        both.wait();
        CHECK(by[0] == by[1]);
    }
    std::latch gate(1), all_running(3);
    Workers workers({.threads = 4, .brisk = 1, .patience = 1ms}, metrics);
    for (int i = 0; i < 3; ++i)
        REQUIRE(workers.submit("one", [&] {
            all_running.count_down();
            gate.wait();
        }));
    all_running.wait();
    gate.count_down();
    SUCCEED();
}

namespace {

// Says who was run, and with whom.
class KinJob final : public Job {
  public:
    KinJob(std::string name, void const* kind, std::vector<std::string>& told, std::latch& done)
        : name_(std::move(name)), kind_(kind), told_(told), done_(done) {}
    void run() override { tell(name_); }
    void const* kind() const override { return kind_; }
    void run_with(std::vector<std::unique_ptr<Job>> others) override {
        auto text = name_;
        for (auto const& other : others) text += " " + static_cast<KinJob&>(*other).name_;
        tell(text);
    }

  private:
    void tell(std::string text) {
        told_.push_back(std::move(text));
        done_.count_down();
    }
    std::string name_;
    void const* kind_;
    std::vector<std::string>& told_;
    std::latch& done_;
};

} // namespace

TEST_CASE("an address of which nothing runs waits for nobody's slow work") {
    Metrics metrics;
    std::latch gate(1), begun(1), other(1);
    Workers workers({.threads = 3, .brisk = 1, .patience = 1h}, metrics);
    for (int i = 0; i < 2; ++i)
        REQUIRE(workers.submit("flood", [&, i] {
            if (i == 0) begun.count_down();
            gate.wait();
        }));
    begun.wait();
    REQUIRE(workers.submit("other", [&] { other.count_down(); }));
    other.wait();
    gate.count_down();
    SUCCEED();
}

TEST_CASE("jobs of one kind that wait are run together, the addresses in turn; others are not") {
    Metrics metrics;
    int const one = 0, another = 0;
    std::vector<std::string> told; // by one thread after the other
    std::latch begun(1), gate(1), done(4);
    Workers workers({.threads = 1, .together = 3}, metrics);
    REQUIRE(workers.submit("z", [&] {
        begun.count_down();
        gate.wait();
    }));
    begun.wait();
    auto const add = [&](std::string const& key, std::string const& name, void const* kind) {
        REQUIRE(workers.submit(key, std::make_unique<KinJob>(name, kind, told, done)));
    };
    add("a", "a1", &one);
    add("a", "a2", &one);
    add("a", "a3", &one);
    add("b", "b1", &another);
    add("c", "c1", nullptr);
    add("d", "d1", &one);
    gate.count_down();
    done.wait();
    CHECK(told == std::vector<std::string>{"a1 d1 a2", "b1", "c1", "a3"});
}

namespace {

// While it lives the system gives no thread: no stack is as large as this.
class NoMoreThreads {
  public:
    NoMoreThreads() {
        pthread_getattr_default_np(&usual_);
        pthread_attr_t huge;
        pthread_attr_init(&huge);
        pthread_attr_setstacksize(&huge, std::size_t{1} << 60);
        pthread_setattr_default_np(&huge);
        pthread_attr_destroy(&huge);
    }
    ~NoMoreThreads() {
        pthread_setattr_default_np(&usual_);
        pthread_attr_destroy(&usual_);
    }
    NoMoreThreads(NoMoreThreads const&) = delete;
    NoMoreThreads& operator=(NoMoreThreads const&) = delete;

  private:
    pthread_attr_t usual_{};
};

} // namespace

TEST_CASE("where the system gives no more threads, those that there are do the work") {
    Metrics metrics;
    Workers workers({.threads = 3}, metrics);
    std::latch begun(1), gate(1), done(3);
    REQUIRE(workers.submit("a", [&] {
        begun.count_down();
        gate.wait();
        done.count_down();
    }));
    begun.wait();
    {
        NoMoreThreads const now;
        REQUIRE_THROWS_AS(std::thread([] {}), std::system_error);
        REQUIRE(workers.submit("b", [&] { done.count_down(); }));
        REQUIRE(workers.submit("c", [&] { done.count_down(); }));
        gate.count_down();
        done.wait();
    }
    SUCCEED();
}

TEST_CASE("where the system gives no thread at all, a job is refused, and the next one is not") {
    Metrics metrics;
    Workers workers({}, metrics);
    std::latch done(1);
    {
        NoMoreThreads const now;
        CHECK_FALSE(workers.submit("a", [&] { FAIL("it was refused"); }));
    }
    REQUIRE(workers.submit("a", [&] { done.count_down(); }));
    done.wait();
}

TEST_CASE("a job that fails ends no thread, and its address keeps its share") {
    Metrics metrics;
    Workers workers({.threads = 1}, metrics);
    for (int i = 0; i < 5; ++i) REQUIRE(workers.submit("a", [] { throw std::runtime_error("no memory"); }));
    std::latch done(1);
    REQUIRE(workers.submit("a", [&] { done.count_down(); }));
    done.wait();
    CHECK(metrics.text().contains("auth_jobs_failed_total{pool=\"lookups\"} 5\n"));
}

TEST_CASE("a job that is refused stays with who brought it") {
    Metrics metrics;
    std::vector<std::string> told;
    std::latch done(1);
    Workers workers({.threads = 1, .queue = 0}, metrics);
    std::unique_ptr<Job> job = std::make_unique<KinJob>("mine", nullptr, told, done);
    CHECK_FALSE(workers.submit("a", std::move(job)));
    REQUIRE(job != nullptr);
    job->run();
    CHECK(told == std::vector<std::string>{"mine"});
}

TEST_CASE("who waits from another address goes before the flood's second") {
    Gauge waiting;
    FairThreads hashing(1, waiting);
    std::vector<std::string> order; // by the one thread
    std::vector<std::thread> threads;
    std::latch gate(1), begun(1);
    auto const wait_in_line = [&](std::string const& key) {
        threads.emplace_back([&, key] { hashing.run(key, [&, key] { order.push_back(key); }); });
    };
    threads.emplace_back([&] {
        hashing.run("main", [&] {
            begun.count_down();
            gate.wait();
        });
    });
    begun.wait();
    for (int i = 0; i < 3; ++i) wait_in_line("flood");
    while (hashing.waiting() < 3) std::this_thread::yield();
    wait_in_line("other");
    while (hashing.waiting() < 4) std::this_thread::yield();
    gate.count_down();
    for (auto& thread : threads) thread.join();
    REQUIRE(order.size() == 4);
    CHECK(order[0] == "other"); // behind "main", round and round
}

TEST_CASE("what fails on a thread for hashes fails for who asked, and the thread goes on") {
    Gauge waiting;
    FairThreads hashing(1, waiting);
    CHECK_THROWS_WITH(hashing.run("a", [] { throw std::runtime_error("no memory"); }), "no memory");
    int done = 0;
    hashing.run("a", [&done] { ++done; });
    CHECK(done == 1);
}

TEST_CASE("as many hashes are computed at once as there are threads, and no more") {
    Gauge waiting;
    FairThreads hashing(2, waiting);
    std::latch both(2), gate(1);
    std::atomic<int> begun{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&, i] {
            hashing.run(std::to_string(i), [&] {
                if (++begun <= 2) both.count_down();
                gate.wait();
            });
        });
    both.wait();
    while (hashing.waiting() < 1) std::this_thread::yield();
    CHECK(begun == 2);
    gate.count_down();
    for (auto& thread : threads) thread.join();
    CHECK(begun == 3);
}

TEST_CASE("behind 1,000 wrong logins from one address, another address waits for one hash that runs") {
    constexpr int flood = 1000;
    constexpr std::size_t hashes_at_a_time = 2;
    for (std::string const other :
         {"192.0.2.1", "192.0.2.99"}) { // before and behind the flood in their order
        Metrics metrics;
        Gauge waiting;
        FairThreads hashing(hashes_at_a_time, waiting);
        std::counting_semaphore<> goes_on(0);
        std::latch first_two(hashes_at_a_time), answered(1);
        std::atomic<int> hashed{0}, hashed_before_other{-1};
        Workers workers({}, metrics);
        for (int i = 0; i < flood; ++i)
            REQUIRE(workers.submit("192.0.2.50", [&] {
                hashing.run("192.0.2.50", [&] {
                    if (hashed++ < static_cast<int>(hashes_at_a_time)) first_two.count_down();
                    goes_on.acquire();
                });
            }));
        first_two.wait();
        auto const running_share = WorkerLimits{}.threads - WorkerLimits{}.threads / 4;
        while (hashing.waiting() < running_share - hashes_at_a_time) std::this_thread::yield();
        REQUIRE(workers.submit(other, [&] {
            hashing.run(other, [&] { hashed_before_other = hashed.load(); });
            answered.count_down();
        }));
        while (hashing.waiting() < running_share - hashes_at_a_time + 1) std::this_thread::yield();
        goes_on.release(); // one of the two hashes that run comes to its end
        answered.wait();
        CHECK(hashed_before_other == static_cast<int>(hashes_at_a_time)); // none was begun in between
        goes_on.release(flood);
    }
}

TEST_CASE("penalties grow with different wrong passwords, stay below Postfix's patience, and end") {
    Deadline::Clock::time_point now{};
    Penalties penalties({}, [&] { return now; });
    auto const delay = [&] { return penalties.delay("192.0.2.1", ""); };
    CHECK(delay() == 0ms);
    penalties.failed("192.0.2.1", "a", "one");
    CHECK(delay() == 0ms);
    penalties.failed("192.0.2.1", "a", "one"); // a mail program that retries
    CHECK(delay() == 0ms);
    penalties.failed("192.0.2.1", "a", "two");
    CHECK(delay() == 1s);
    for (auto const* password : {"three", "four", "five", "six", "seven"})
        penalties.failed("192.0.2.1", "a", password);
    CHECK(delay() == 6s);
    CHECK(delay() + 2s < 10s);
    CHECK(penalties.delay("192.0.2.2", "") == 0ms);
    CHECK(penalties.delay("192.0.2.2", "A") == 2s); // the user, from elsewhere
    now += 60s;
    CHECK(delay() == 0ms);
    penalties.failed("192.0.2.1", "a", "eight");
    penalties.failed("192.0.2.1", "a", "nine");
    CHECK(delay() == 1s);
    penalties.succeeded("192.0.2.1", "a");
    CHECK(delay() == 0ms);
}

TEST_CASE("one IPv6 network counts as one client, mapped IPv4 addresses each for themselves") {
    CHECK(client_network("2001:db8:1:2::3", 48) == client_network("2001:db8:1:ffff::1", 48));
    CHECK(client_network("2001:db8:1:2::3", 48) != client_network("2001:db8:2:2::3", 48));
    CHECK(client_network("2001:db8:1:2::3", 64) != client_network("2001:db8:1:ffff::1", 64));
    CHECK(client_network("2001:db8:1:2::3", 64) == client_network("2001:db8:1:2:ffff::1", 64));
    CHECK(client_network("192.0.2.1", 48) == "192.0.2.1");
    CHECK(client_network("::ffff:192.0.2.1", 48) == "192.0.2.1");
    CHECK(client_network("", 48).empty());
    CHECK(client_network("mail.example.com", 64).empty());
}

TEST_CASE("requests without an address share no penalty, but the user's counts") {
    Deadline::Clock::time_point now{};
    Penalties penalties({}, [&] { return now; });
    for (auto const* password : {"1", "2", "3"}) penalties.failed("", "a", password);
    CHECK(penalties.delay("", "b") == 0ms);
    CHECK(penalties.delay("", "a") == 2s);
    CHECK(penalties.size() == 1);
}

TEST_CASE("no two answers to a challenge are alike, so each wrong one counts") {
    Deadline::Clock::time_point now{};
    Penalties penalties({}, [&] { return now; });
    penalties.failed("192.0.2.1", "a", std::nullopt);
    penalties.failed("192.0.2.1", "a", std::nullopt);
    CHECK(penalties.delay("192.0.2.1", "a") == 1s);
}

TEST_CASE("who has an account cannot clear his address between guesses at another's") {
    Deadline::Clock::time_point now{};
    Penalties penalties({}, [&] { return now; });
    penalties.failed("192.0.2.1", "victim", "1");
    penalties.failed("192.0.2.1", "victim", "2");
    penalties.succeeded("192.0.2.1", "attacker");
    CHECK(penalties.delay("192.0.2.1", "attacker") == 1s);
    penalties.failed("192.0.2.1", "attacker", "3");
    penalties.succeeded("192.0.2.1", "attacker");
    CHECK(penalties.delay("192.0.2.1", "") == 2s);
    penalties.succeeded("192.0.2.9", "victim");
    CHECK(penalties.delay("192.0.2.9", "victim") == 0ms);
    CHECK(penalties.delay("192.0.2.1", "victim") == 2s);
}

TEST_CASE("penalties forget the address unused longest when there are too many") {
    Deadline::Clock::time_point now{};
    PenaltySettings settings;
    settings.entries = 10;
    Penalties penalties(settings, [&] { return now; });
    for (int i = 0; i < 100; ++i) penalties.failed("192.0.2." + std::to_string(i), "", "x");
    CHECK(penalties.size() == 10);
}
