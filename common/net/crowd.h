// Serves many quiet connections with a few threads: Postfix's processes each keep one, and ask now and then.
#pragma once

#include "common/net/crew.h"
#include "common/net/descriptor.h"
#include "common/net/server.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include <sys/epoll.h>

namespace postern::net {

// Stands in the place of Server for sessions that answer within receive() and never ask to be woken.
// A thread for each connection spends most of its time on being woken (docs/adr/0009-threads-of-sql-maps.md);
// here the threads take whichever connection has a request next. When none of them came back for a while,
// because a database is slow or silent, more are started, at most one for each connection: no lookup waits
// for another that a database holds up.
class Crowd {
    struct Client;

  public:
    // A client that sent something, in the hands of whoever is to answer it.
    class Turn {
      public:
        Turn(Crowd& crowd, Client& client, std::string_view bytes)
            : crowd_(&crowd), client_(&client), bytes_(bytes) {}
        Turn(Turn&& other) noexcept
            : crowd_(other.crowd_), client_(std::exchange(other.client_, nullptr)), bytes_(other.bytes_) {}
        Turn& operator=(Turn&&) = delete;
        ~Turn(); // without an answer, the connection ends

        Session& session() const;
        std::string_view bytes() const { return bytes_; } // only in the call that brought the turn
        // Once. From here on the session belongs to the next turn; an error ends the connection.
        void answer(Result<std::string> reply);
        void let_session_answer();

      private:
        Crowd* crowd_;
        Client* client_; // nullptr: has been answered, or moved from
        std::string_view bytes_;
    };
    using Together = std::function<void(std::vector<Turn> turns)>;
    using Work = std::move_only_function<void()>;

    // workers: how many threads there are at least.
    Crowd(Listener listener, ServerLimits limits, std::size_t workers, SessionFactory factory, Log& log,
          Metrics& metrics, std::string name);
    ~Crowd(); // stops

    // Before start(). Clients that wait at the same time are answered by one call; as many as could lately be
    // answered quickly, at most max_together. One worker does it as long as it is quick.
    void answer_together(Together together);
    static constexpr std::size_t max_together = 64;
    // Another worker than the one that calls does it: what may be held up, and what should not wait for that.
    void hand_over(Work work);

    void start();
    // No new connections; those with a request under way get drain_timeout. Joins every thread.
    void stop();

  private:
    using Clock = std::chrono::steady_clock;
    struct Client {
        Descriptor fd;
        Peer peer;
        std::unique_ptr<Session> session;
        std::atomic<Clock::rep> heard; // of; since the epoch of Clock
        std::mutex turn;               // of whom it is to be served by
    };
    void host();
    void accept_one();
    void admit(Descriptor fd, sockaddr_storage const& remote);
    int host_timeout();
    void close_idle();
    struct Hands;
    void work();
    bool serve(Hands& hands, std::size_t count);
    Result<std::string_view> read(Client& client, std::string& buffer) const;
    void judge_pace(std::size_t taken, Clock::duration took);
    bool work_handed_over();
    void settle(Client& client, Result<std::string> const& reply);
    Result<> arm(Client& client, int operation) const;
    Result<> send(Client const& client, std::string_view bytes) const;
    void finish(Client& client, Error const& why);

    Listener listener_;
    ServerLimits limits_;
    std::size_t usual_workers_;
    std::size_t least_workers_;
    SessionFactory factory_;
    Together together_;
    std::size_t most_at_once_ = 1;
    Log& log_;
    std::string name_;
    Counter& accepted_;
    Gauge& open_;
    Descriptor poller_;
    Waker waker_;            // of the host: look again
    Waker no_wake_;          // for the sessions, which do not use it
    Descriptor handed_over_; // counts work_
    std::atomic<bool> stopping_{false};
    std::atomic<std::size_t> at_once_{1}; // clients that a worker takes, 1 to most_at_once_
    Clock::time_point next_idle_look_;    // the host's
    std::thread host_;
    mutable std::mutex mutex_; // guards what follows
    std::unordered_map<int, std::unique_ptr<Client>> clients_;
    std::deque<Work> work_; // goes before clients_
    Crew crew_;             // goes first
};

} // namespace postern::net
