// Serves many connections with a few threads, which the sessions' own workers help to answer.
#pragma once

#include "common/net/caller.h"
#include "common/net/crew.h"
#include "common/net/descriptor.h"
#include "common/net/server.h"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

namespace postern::net {

// Stands in the place of Server, as Crowd does, for sessions that are woken: whoever has the answer puts it
// through (docs/adr/0013-threads-of-auth-socket.md). The threads take whichever connection has a request
// next. When none of them came back for a while, because something holds them up, more are started, at most
// one for each connection.
//
// Of a session it wants that wake() waits for nothing, since whoever uses the Waker calls it right there, on
// its own thread (so it must hold no lock that the session takes, and must not be joined by the session).
class Switchboard {
  public:
    // workers: how many threads there are at least. batch: how many requests a thread takes at a time; where
    // receive() may wait, 1, so that each of them can go to another thread at once.
    Switchboard(Listener listener, ServerLimits limits, std::size_t workers, SessionFactory factory, Log& log,
                Metrics& metrics, std::string name, std::size_t batch = 1);
    ~Switchboard(); // stops

    void start();
    // No new connections; idle ones are closed at once, busy ones get drain_timeout. Joins every thread.
    void stop();

  private:
    using Clock = Caller::Clock;
    void host();
    void begin_to_stop();
    void accept_one();
    void admit(Descriptor fd, sockaddr_storage const& remote);
    int host_timeout();
    bool somebody_is_ready();
    void ring_alarms();
    std::shared_ptr<Caller> take_alarmed();
    void work();
    using Turns = std::vector<std::shared_ptr<Caller>>;
    bool next_clients(Turns& turns);
    void make_ready(std::uint64_t id, unsigned reasons);
    void enqueue(std::shared_ptr<Caller> const& client);
    void take_ready(Turns& turns);
    void tell_all(unsigned reason);
    void call(Caller& client, unsigned reasons);
    void attend(Caller& client);
    bool hand_over(Caller& client, unsigned reasons);
    void serve(Turns& turns, std::string& buffer);
    bool serve_one(Caller& client, unsigned reasons, std::string& buffer);
    bool settle(Caller& client);
    template <class Step>
    bool guarded(Caller& client, Step const& step);
    void set_alarm(Caller& client);
    void finish(Caller& client, Error const& why);

    Listener listener_;
    ServerLimits limits_;
    std::size_t least_workers_;
    std::size_t batch_;
    SessionFactory factory_;
    Log& log_;
    std::string name_;
    Counter& accepted_;
    Gauge& open_;
    Descriptor poller_;
    Waker waker_;       // of the host: look again
    Waker worker_call_; // of a worker: there is somebody in the queue
    std::atomic<bool> stopping_{false};
    std::atomic<bool> over_{false}; // the threads are to end
    std::uint64_t last_id_ = 0;     // the host's
    std::thread host_;
    std::mutex mutex_; // guards what follows
    std::condition_variable all_gone_;
    std::unordered_map<std::uint64_t, std::shared_ptr<Caller>> clients_;
    std::set<std::pair<Clock::time_point, std::uint64_t>> alarms_;
    std::shared_ptr<Caller> first_ready_; // what threads took beyond what they serve now
    Caller* last_ready_ = nullptr;
    bool is_closed_ = false; // to new connections
    Crew crew_;              // goes first
};

} // namespace postern::net
