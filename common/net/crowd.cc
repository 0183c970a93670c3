// One thread accepts and watches; the others take requests as they come.
#include "common/net/crowd.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace postern::net {

namespace {

using std::chrono::milliseconds;

constexpr auto look_every = milliseconds(5); // at workers that do not come back
constexpr int quiet_looks = 100;             // then the host sleeps until all workers are busy again
constexpr auto worker_idle_time = milliseconds(10'000);
constexpr auto idle_look_every = std::chrono::seconds(60);

bool wait_for(int fd, short events, Deadline deadline) {
    pollfd waiting{fd, events, 0};
    while (true) {
        int const ready = ::poll(&waiting, 1, deadline.poll_timeout());
        if (ready > 0) return true;
        if (deadline.expired()) return false;
    }
}

} // namespace

Crowd::Crowd(Listener listener, ServerLimits limits, std::size_t workers, SessionFactory factory, Log& log,
             Metrics& metrics, std::string name)
    : listener_(std::move(listener)), limits_(limits), least_workers_(std::max<std::size_t>(workers, 1)),
      factory_(std::move(factory)), log_(log), name_(std::move(name)),
      accepted_(metrics.counter("postern_connections_total", "Connections accepted.",
                                fmt::format("listener=\"{}\"", name_))),
      open_(metrics.gauge("postern_connections_open", "Connections open now.",
                          fmt::format("listener=\"{}\"", name_))),
      poller_(::epoll_create1(EPOLL_CLOEXEC)), next_idle_look_(Clock::now() + idle_look_every) {
    if (!poller_) throw std::system_error(errno, std::system_category(), "epoll_create1");
}

Crowd::~Crowd() { stop(); }

void Crowd::start() {
    add_workers(least_workers_);
    host_ = std::thread([this] { host(); });
}

// A worker in the middle of a request answers it first. Shutting the sockets down wakes nobody who waits for
// a database; after drain_timeout its answer just has no reader any more.
void Crowd::stop() {
    if (!host_.joinable()) return;
    stopping_ = true;
    waker_.wake();
    host_.join();
    listener_.close();
    // Readable for ever: every worker that waits sees it, one after the other.
    Descriptor const stop(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{EPOLLIN, {.ptr = nullptr}};
    ::epoll_ctl(poller_.get(), EPOLL_CTL_ADD, stop.get(), &event);
    auto const patience = Deadline::after(limits_.drain_timeout);
    auto const all_ended = [this] {
        std::lock_guard const lock(mutex_);
        return std::ranges::all_of(workers_, &Worker::ended);
    };
    while (!all_ended() && wait_for(waker_.descriptor(), POLLIN, patience)) waker_.clear();
    {
        std::lock_guard const lock(mutex_);
        for (auto const& [fd, client] : clients_) ::shutdown(fd, SHUT_RDWR);
    }
    for (auto& worker : workers_) worker.thread.join();
    workers_.clear();
    open_.add(-static_cast<std::int64_t>(clients_.size()));
    clients_.clear();
}

// ---- The host's thread ----------------------------------------------------------------------------------

void Crowd::host() {
    while (!stopping_) {
        bool const room = [this] {
            std::lock_guard const lock(mutex_);
            return clients_.size() < limits_.max_connections;
        }();
        std::array<pollfd, 2> ready{
            {{waker_.descriptor(), POLLIN, 0}, {room ? listener_.descriptor() : -1, POLLIN, 0}}};
        if (::poll(ready.data(), ready.size(), host_timeout()) < 0) continue;
        if (ready[0].revents != 0) waker_.clear();
        if (!stopping_ && (ready[1].revents & POLLIN) != 0) accept_one();
        if (watched_) watch_workers();
        if (Clock::now() >= next_idle_look_) close_idle();
    }
}

int Crowd::host_timeout() {
    if (watched_) return static_cast<int>(look_every.count());
    return Deadline::at(next_idle_look_).poll_timeout();
}

void Crowd::accept_one() {
    sockaddr_storage remote{};
    socklen_t size = sizeof remote;
    Descriptor fd(::accept4(listener_.descriptor(), reinterpret_cast<sockaddr*>(&remote), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
        if (errno == EAGAIN || errno == ECONNABORTED || errno == EINTR) return;
        log_.error("{}: accept: {}", name_, std::system_category().message(errno));
        // Out of descriptors or memory: what is open must end first; do not spin.
        wait_for(waker_.descriptor(), POLLIN, Deadline::after(milliseconds(100)));
        return;
    }
    accepted_.add();
    try {
        admit(std::move(fd), remote);
    } catch (std::exception const& failure) {
        log_.error("{}: a new connection is closed: {}", name_, failure.what());
    }
}

void Crowd::admit(Descriptor fd, sockaddr_storage const& remote) {
    int const number = fd.get();
    auto made = std::make_unique<Client>();
    made->peer = peer_of(number, remote);
    made->session = factory_(made->peer, no_wake_);
    made->fd = std::move(fd);
    made->heard = Clock::now().time_since_epoch().count();
    auto const greeting = made->session->greeting(); // before others know of it: what fails here fails alone
    auto& client = *made;
    {
        std::lock_guard const lock(mutex_);
        clients_.insert_or_assign(number, std::move(made));
    }
    open_.add(1);
    Result<> ready;
    {
        std::lock_guard const turn(client.turn);
        ready = send(client, greeting);
        if (ready) ready = arm(client, EPOLL_CTL_ADD);
    }
    if (!ready) finish(client, ready.error());
}

// No worker came back since the last look, and none waits: whatever holds them up must not hold up others.
void Crowd::watch_workers() {
    if (Clock::now() < next_look_) return;
    next_look_ = Clock::now() + look_every;
    auto const rounds = rounds_.load();
    bool const busy = waiting_ == 0;
    bool const stuck = busy && rounds_seen_ == rounds;
    rounds_seen_ = rounds;
    if (stuck) add_workers(next_workers_);
    next_workers_ = stuck ? next_workers_ * 2 : 1;
    quiet_looks_ = busy ? 0 : quiet_looks_ + 1;
    join_ended();
    if (quiet_looks_ < quiet_looks) return;
    quiet_looks_ = 0;
    rounds_seen_.reset();
    watched_ = false;
}

// Its worker sees the end of the stream.
void Crowd::close_idle() {
    next_idle_look_ = Clock::now() + idle_look_every;
    auto const oldest = (Clock::now() - limits_.idle_timeout).time_since_epoch().count();
    std::lock_guard const lock(mutex_);
    for (auto const& [fd, client] : clients_)
        if (client->heard < oldest) ::shutdown(fd, SHUT_RDWR);
}

void Crowd::add_workers(std::size_t count) {
    std::lock_guard const lock(mutex_);
    auto const most = std::max(least_workers_, limits_.max_connections);
    for (; count > 0 && staying_ < most; --count) {
        auto& worker = workers_.emplace_back();
        try {
            worker.thread = std::thread([this, &worker] { work(worker); });
            ++staying_;
        } catch (std::system_error const& failure) {
            log_.error("{}: no more threads than {}: {}", name_, staying_, failure.what());
            workers_.pop_back();
            return;
        }
    }
}

void Crowd::join_ended() {
    std::lock_guard const lock(mutex_);
    std::erase_if(workers_, [](Worker& worker) {
        if (worker.ended) worker.thread.join();
        return worker.ended;
    });
}

// ---- The workers' threads -------------------------------------------------------------------------------

void Crowd::work(Worker& self) {
    std::string buffer(limits_.read_size, '\0');
    while (!stopping_) {
        epoll_event event{};
        ++waiting_;
        int const count = ::epoll_wait(poller_.get(), &event, 1, static_cast<int>(worker_idle_time.count()));
        bool const last = --waiting_ == 0;
        if (count < 0) continue;
        if (count == 0 && may_leave()) break;
        if (count == 0) continue;
        if (event.data.ptr == nullptr) break; // stop()
        if (last && !watched_.exchange(true)) waker_.wake();
        serve(*static_cast<Client*>(event.data.ptr), buffer);
        ++rounds_;
    }
    {
        std::lock_guard const lock(mutex_);
        self.ended = true; // from here on it touches nothing that join_ended() holds
    }
    waker_.wake();
}

bool Crowd::may_leave() {
    std::lock_guard const lock(mutex_);
    if (staying_ <= least_workers_) return false;
    --staying_;
    return true;
}

void Crowd::serve(Client& client, std::string& buffer) {
    Result<> done;
    {
        // Whoever has the client next sees all that was done here; the kernel alone would see to it, but says
        // so to no tool.
        std::lock_guard const turn(client.turn);
        done = answer_guarded(client, buffer);
        if (done) done = arm(client, EPOLL_CTL_MOD);
    }
    if (!done) finish(client, done.error());
}

// From here on a worker may take the client.
Result<> Crowd::arm(Client& client, int operation) const {
    epoll_event event{EPOLLIN | EPOLLONESHOT, {.ptr = &client}};
    if (::epoll_ctl(poller_.get(), operation, client.fd.get(), &event) != 0)
        return system_error("epoll_ctl", errno);
    return {};
}

// The outermost frame of a request: whatever goes wrong in here ends this connection and no other.
Result<> Crowd::answer_guarded(Client& client, std::string& buffer) {
    try {
        return answer(client, buffer);
    } catch (std::exception const& broken) {
        log_.error("{}: client={} closed by a failure of our own: {}", name_, client.peer.to_string(),
                   broken.what());
        return closed("");
    }
}

Result<> Crowd::answer(Client& client, std::string& buffer) {
    auto const size = ::read(client.fd.get(), buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return closed("the peer went away");
    if (size < 0) return system_error("read", errno);
    client.heard.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    auto reply = client.session->receive({buffer.data(), static_cast<std::size_t>(size)});
    if (!reply) return std::unexpected(std::move(reply).error());
    return send(client, *reply);
}

Result<> Crowd::send(Client const& client, std::string_view bytes) const {
    auto const deadline = Deadline::after(limits_.write_timeout);
    while (!bytes.empty()) {
        auto const size = ::send(client.fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (size > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(size));
            continue;
        }
        if (size < 0 && errno == EINTR) continue;
        if (errno == EPIPE || errno == ECONNRESET) return closed("the peer went away before its answer");
        if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error("write", errno);
        if (!wait_for(client.fd.get(), POLLOUT, deadline))
            return closed("the peer does not read its answers");
    }
    return {};
}

void Crowd::finish(Client& client, Error const& why) {
    if (why.kind == ErrorKind::malformed)
        log_.warning("{}: client={} closed: {}", name_, client.peer.to_string(), why.text);
    else if (why.kind != ErrorKind::closed)
        log_.debug("{}: client={} closed: {}", name_, client.peer.to_string(), why.text);
    std::unique_ptr<Client> ended; // goes, with its session, after the lock
    bool was_full = false;
    {
        std::lock_guard const lock(mutex_);
        was_full = clients_.size() >= limits_.max_connections;
        auto const entry = clients_.extract(client.fd.get());
        if (!entry.empty()) ended = std::move(entry.mapped());
    }
    open_.add(-1);
    if (was_full) waker_.wake(); // the host accepts again
}

} // namespace postern::net
