// Threads that take requests as they come, and more of them when something holds all of them up.
#pragma once

#include "common/base/log.h"
#include "common/net/server.h"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <list>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>

#include <sys/epoll.h>

namespace postern::net {

// Of a driver whose own thread, the host, looks after it. While no thread of the crew waits, the host looks
// every 5 ms whether one came back; when none did, it begins as many as the last time and as many again.
// Threads beyond the least leave when nothing came for 10 s.
class Crew {
  public:
    using Clock = std::chrono::steady_clock;
    // host: is woken to look again.
    Crew(Log& log, std::string name, Waker const& host) : log_(log), name_(std::move(name)), host_(host) {}
    Crew(Crew const&) = delete;
    Crew& operator=(Crew const&) = delete;
    ~Crew() { join(); }

    // work: what each thread does until wait() tells it to leave, or the driver is over.
    void start(std::size_t least, std::size_t most, std::function<void()> work);

    // By its threads. How many events there are; absent: to leave.
    std::optional<std::size_t> wait(int poller, std::span<epoll_event> events);
    void came_back() { ++rounds_; } // from what was waited for
    bool all_are_busy() const { return waiting_ == 0; }
    void add(std::size_t count, std::size_t most);

    // By the host. is_more: requests wait that no poller tells of.
    void look(bool is_more);
    Clock::time_point next_look() const { return watched_ ? next_look_ : Clock::time_point::max(); }

    bool has_ended() const; // each thread; the host is woken by each end
    void join();            // all; to be told to leave before

  private:
    struct Member {
        std::thread thread;
        bool ended = false;
    };
    void run(Member& self);
    bool may_leave();
    void join_ended();

    Log& log_;
    std::string const name_;
    Waker const& host_;
    std::function<void()> work_;
    std::size_t least_ = 0;
    std::size_t most_ = 0;
    std::atomic<std::size_t> waiting_{0};    // for a request
    std::atomic<std::size_t> rounds_{0};     // requests that threads came back from
    std::atomic<bool> watched_{false};       // the host looks whether threads come back
    std::optional<std::size_t> rounds_seen_; // at the host's last look
    Clock::time_point next_look_;            // the host's
    int quiet_looks_ = 0;                    // the host's: one after the other with a thread waiting
    std::size_t next_count_ = 1;             // the host's: how many to add when none comes back
    mutable std::mutex mutex_;               // guards what follows
    std::list<Member> members_;
    std::size_t staying_ = 0; // members that did not decide to end
    bool is_closed_ = false;  // to new members
};

} // namespace postern::net
