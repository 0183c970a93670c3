// A bounded thread per connection around sans-IO sessions: bytes in, bytes out.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/net/listener.h"

#include <atomic>
#include <condition_variable>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/socket.h>

namespace postern::net {

// Who is at the other end.
struct Peer {
    std::string address; // "192.0.2.1", "2001:db8::1", or "unix"
    std::uint16_t port = 0;
    std::string local_address; // empty for Unix sockets
    std::uint16_t local_port = 0;
    struct Credentials {
        int pid;
        unsigned uid;
        unsigned gid;
    };
    std::optional<Credentials> credentials; // Unix sockets only

    std::string to_string() const; // for the log
};

// Who is at the other end of a socket that accept(2) gave; TCP_NODELAY is set on the way.
Peer peer_of(int fd, sockaddr_storage const& remote);

// The log's line about a connection that ended; none for a peer that just went.
void tell_end(Log& log, std::string_view name, Peer const& peer, Error const& why);

// Lets another thread (a hash worker, a timer) wake a session. Copies share one; outliving the connection
// does no harm.
class Waker {
  public:
    Waker(); // of a thread that waits for the descriptor and clears it
    explicit Waker(std::function<void()> call);
    void wake() const;
    int descriptor() const; // -1: of a call
    void clear() const;

  private:
    struct Event;
    std::shared_ptr<Event> event_;
};

// One connection's protocol. Called by one thread at a time; never sees the socket.
class Session {
  public:
    virtual ~Session() = default;
    // Sent at accept.
    virtual std::string greeting() { return {}; }
    // Takes what arrived, in pieces of any size, and gives back what is to be sent. An error ends the
    // connection, after farewell(error) has been sent: malformed bytes are logged as one warning, closed not
    // at all.
    virtual Result<std::string> receive(std::string_view bytes) = 0;
    virtual std::string farewell(Error const&) { return {}; }
    // True: send what was given back, then close.
    virtual bool finished() const { return false; }
    // When wake() is to be called without bytes; absent: only when the Waker says so.
    virtual std::optional<Deadline> wakes_at() const { return std::nullopt; }
    // Called after the Waker was used or wakes_at() has passed; may also come without cause.
    virtual Result<std::string> wake() { return std::string(); }
    // True while a request is being worked on: such a connection is not ended by the idle time, and a
    // stopping server waits for it.
    virtual bool busy() const { return false; }
};

using SessionFactory = std::function<std::unique_ptr<Session>(Peer const&, Waker)>;

struct ServerLimits {
    std::size_t max_connections = 1000; // beyond it, accept(2) waits
    std::chrono::milliseconds idle_timeout = std::chrono::minutes(30);
    std::chrono::milliseconds write_timeout = std::chrono::seconds(60);
    std::chrono::milliseconds drain_timeout = std::chrono::seconds(5); // for busy sessions at stop()
    std::size_t read_size = 16384;
};

// Accepts on one listener and runs a session per connection. A thread that has served its connection takes
// the next one.
class Server {
  public:
    Server(Listener listener, ServerLimits limits, SessionFactory factory, Log& log, Metrics& metrics,
           std::string name);
    ~Server(); // stops

    void start();
    // No new connections; idle ones are closed at once, busy ones get drain_timeout. Joins every thread.
    void stop();
    // The same with another time, but what is still busy then is left at work: false, and the caller must
    // leave with _exit() and destroy nothing that sessions use, this object neither. True: every thread is
    // joined.
    bool stop_within(std::chrono::milliseconds drain_time);
    Listener const& listener() const { return listener_; }

  private:
    struct Worker {
        std::thread thread;
        int connection = -1; // its socket, while it serves one
        std::optional<Waker> waker;
        bool ended = false;
    };

    void work(Worker& self);
    bool stays();
    Descriptor accept_one(sockaddr_storage& remote);
    void listen_on(int operation);
    void keep_one_waiting();
    void add_worker();
    void serve(Worker& self, Descriptor fd, sockaddr_storage const& remote);
    void converse(Worker& self, int fd, sockaddr_storage const& remote);
    void drain(std::chrono::milliseconds time);
    void join_ended();

    Listener listener_;
    ServerLimits limits_;
    SessionFactory factory_;
    Log& log_;
    std::string name_;
    Counter& accepted_;
    Gauge& open_;
    Waker stop_; // stays awake: each worker that waits for a connection sees it
    std::atomic<bool> stopping_{false};
    Descriptor poller_; // of the listener, which wakes one worker for a connection, and of stop_
    std::condition_variable changed_; // a worker ended, or waits no more
    std::mutex mutex_;                // guards what follows
    std::list<Worker> workers_;
    std::size_t waiting_ = 0; // workers that wait for a connection
};

// Runs one session over stdin and stdout or any pair of descriptors until either ends: policyd-spf under
// spawn(8).
Result<> run_session(Session& session, int in, int out, ServerLimits const& limits);

} // namespace postern::net
