// The pool's inside, for the files that make it.
#pragma once

#include "common/sql/pool.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <vector>

namespace postern::sql {

class Pool::Impl {
  public:
    using Clock = std::chrono::steady_clock;
    using milliseconds = std::chrono::milliseconds;
    Impl(PoolSettings settings, Log& log, Metrics& metrics);
    ~Impl();

    Result<Rows> query(Statement const& statement, std::span<std::string const> values, Deadline deadline);
    void query_all(std::span<Query const> queries, Answers& answers);
    Driver driver() const { return driver_; }

  private:
    struct Host {
        Host(ServerSettings settings, Gauge& gauge)
            : server(std::move(settings)), name(server.to_string()), up(gauge) {}

        ServerSettings server;
        std::string name;
        Gauge& up;
        bool down = false;
        Clock::time_point tried;   // when it was last found down, or is being tried again
        Clock::time_point counted; // when it last failed so that the log says so and the interval grew
        milliseconds interval{0};  // how long it is left alone after that
        std::string last_error;
    };

    struct Lease {
        std::unique_ptr<Connection> connection;
        std::size_t host = 0;
        bool fresh = false; // made for this query
    };

    struct Idle {
        std::unique_ptr<Connection> connection;
        std::size_t host = 0;
        Clock::time_point since;
    };

    // A query in the queue. The one that waits longest gets the next connection, or the room to make one.
    struct Waiter {
        std::condition_variable woken;
        bool called = false;
        std::optional<Lease> lease;
    };
    using Lock = std::unique_lock<std::mutex>;
    Result<Rows> try_query(Statement const& statement, std::span<std::string const> values,
                           Deadline deadline);
    template <class Question>
    std::invoke_result_t<Question> ask(Lease& lease, Question const& question);
    Result<Lease> acquire(Deadline deadline);
    std::optional<Lease> take_idle(Lock& lock);
    Result<std::optional<Lease>> wait(Lock& lock, Deadline deadline);
    void call_next(std::optional<Lease> lease = {});
    void make_room();
    Result<std::unique_ptr<Connection>> connect_to(Host const& host, Deadline deadline);
    Result<std::optional<Lease>> connect_one(Lock& lock, Deadline deadline);
    std::optional<std::size_t> choose_host();
    void give_back(Lease lease);
    void give_up(Lease lease, Error const& error, bool host_is_to_blame);
    void host_failed(Host& host, Error const& error);
    void host_answers(Host& host);
    std::string why_all_down() const;
    void begin_reaper();
    void close_idle();

    Counter& batched();

    PoolSettings settings_;
    Log& log_;
    Metrics& metrics_;
    Driver driver_;
    Gauge& open_;
    Gauge& busy_;
    Counter& answered_;
    Counter& refused_;
    Counter& failed_;
    Histogram& seconds_;
    std::atomic<Counter*> batched_{nullptr};

    std::mutex mutex_;            // guards everything below
    std::deque<Waiter*> waiters_; // the longest waiting first; each waits in wait()
    std::condition_variable reaper_wake_;
    std::vector<Host> hosts_;
    std::vector<Idle> idle_;     // the longest unused first
    std::size_t total_ = 0;      // idle, leased and being made
    std::size_t connecting_ = 0; // being made
    bool stopping_ = false;
    std::minstd_rand random_{std::random_device{}()};
    std::thread reaper_;
};

} // namespace postern::sql
