// Where blocking work goes: database lookups and password hashing, away from the sessions' threads.
#pragma once

#include "common/base/metrics.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace postern::auth_socket {

// Something to be done on another thread.
class Job {
  public:
    virtual ~Job() = default;
    virtual void run() = 0;
    // Jobs of one kind that wait at the same time may be run together, by one of them; null: this one is not.
    virtual void const* kind() const { return nullptr; }
    virtual void run_with(std::vector<std::unique_ptr<Job>> /*others*/) { run(); }
};

class Executor {
  public:
    virtual ~Executor() = default;
    // False when the queue is full: a temporary failure for this request, and the job stays where it was. The
    // key says who asked (the client's address); the keys take turns.
    virtual bool submit(std::string_view key, std::unique_ptr<Job>&& job) = 0;
    bool submit(std::string_view key, std::function<void()> work);
};

struct WorkerLimits {
    std::size_t threads = 30;
    // So many take jobs at once, a job with a kind counting twice; the others, what has waited this long
    // because something holds these up. Most jobs ask a database that a few threads keep busy: more would
    // only wait for each other, and what waits meanwhile can be asked together. A job without a kind whose
    // key has none running waits for none of this.
    std::size_t brisk = 4;
    std::chrono::milliseconds patience{3};
    std::size_t together = 16; // jobs of one kind that one thread takes at a time
    std::size_t queue = 4096;  // jobs that wait, over all keys
    // Of one key: a third of the room that is left, so that a few do not fill the queue for everybody, but
    // never more than this, nor less than the other.
    std::size_t queue_per_key = 1024;
    std::size_t least_per_key = 16;
};

// Threads, begun when they are needed. One key never gets all of them: the rest stays free for the others.
class Workers final : public Executor {
  public:
    // pool: what the metrics call it.
    Workers(WorkerLimits limits, Metrics& metrics, std::string_view pool = "lookups");
    ~Workers() override; // drops what waits, finishes what runs

    using Executor::submit;
    bool submit(std::string_view key, std::unique_ptr<Job>&& job) override;

  private:
    using Clock = std::chrono::steady_clock;
    struct Waiting {
        std::unique_ptr<Job> job;
        Clock::time_point since;
    };
    struct Queue {
        std::deque<Waiting> jobs;
        std::size_t running = 0; // threads that took a job of this key first
    };
    struct Taken {
        std::unique_ptr<Job> first;
        std::vector<std::unique_ptr<Job>> others; // of its kind
    };
    using Queues = std::map<std::string, Queue, std::less<>>;
    using Lock = std::unique_lock<std::mutex>;
    void run();
    void work(Taken taken);
    Queues::iterator next_eligible();
    Queues::iterator next_at_once();
    Queues::iterator wait_for_job(Lock& lock);
    bool is_full_for(std::string_view key) const;
    Taken take(Queues::iterator queue);
    void take_kin(Taken& taken);
    std::unique_ptr<Job> pop(Queue& queue);
    void give_back(std::string const& key, std::size_t weight);
    bool begin_another();
    bool wants_another();
    void call_another(Lock& lock);
    std::size_t share() const { // of one key; one thread at least is left to the others
        auto const others = std::max<std::size_t>(limits_.threads / 4, 1);
        return std::max<std::size_t>(limits_.threads, others + 1) - others;
    }

    WorkerLimits const limits_;
    Gauge& waiting_gauge_;
    Counter& refused_;
    Counter& failed_;
    std::mutex mutex_; // guards all below
    std::condition_variable work_;
    Queues queues_;
    std::string served_;
    std::size_t waiting_ = 0;
    std::size_t running_ = 0; // by weight
    std::size_t idle_ = 0;
    bool is_watched_ = false; // an idle thread looks when the next job has waited too long
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace postern::auth_socket
