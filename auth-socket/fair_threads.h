// Threads for what takes a core for a while, shared fairly between those who ask.
#pragma once

#include "common/base/metrics.h"

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace postern::auth_socket {

// A few threads that go from one piece of work to the next, in which the keys that wait take turns: a flood
// from one address does not hold up another for longer than what is running. They are begun when they are
// needed, and never wait for each other's cores, as threads would that pass a permit on.
class FairThreads {
  public:
    FairThreads(std::size_t count, Gauge& waiting)
        : count_(count == 0 ? 1 : count), waiting_gauge_(waiting) {}
    FairThreads(FairThreads const&) = delete;
    FairThreads& operator=(FairThreads const&) = delete;
    ~FairThreads(); // nobody may be in run()

    // Returns when one of the threads has done it; what it throws is thrown here.
    void run(std::string_view key, std::function<void()> work);

    std::size_t waiting() const { return static_cast<std::size_t>(waiting_gauge_.value()); } // not yet begun

  private:
    struct Task {
        std::function<void()> work;
        std::exception_ptr failure = nullptr;
        std::condition_variable over;
        bool is_over = false;
    };
    using Queues = std::map<std::string, std::deque<Task*>, std::less<>>;
    void serve();
    Task& take(Queues::iterator queue);
    void begin_another();

    std::size_t const count_;
    Gauge& waiting_gauge_;
    std::mutex mutex_; // guards all below
    std::condition_variable work_;
    Queues waiting_;     // no queue is empty
    std::string served_; // the key that had its turn last
    std::size_t idle_ = 0;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace postern::auth_socket
