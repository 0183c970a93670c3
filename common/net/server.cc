// Accepting, and a thread for each connection.
#include "common/net/server.h"

#include "common/base/text.h"
#include "common/net/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>

namespace postern::net {

namespace {

// For a thread that waits for its peer, to see that the connection was shut down.
constexpr auto leaving_time = std::chrono::milliseconds(200);
// So many threads without a connection stay for the next ones.
constexpr std::size_t spare_workers = 4;

void take_address(sockaddr_storage const& name, std::string& address, std::uint16_t& port) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    if (name.ss_family == AF_INET) {
        auto const& inet = reinterpret_cast<sockaddr_in const&>(name);
        ::inet_ntop(AF_INET, &inet.sin_addr, text.data(), text.size());
        port = ntohs(inet.sin_port);
    } else if (name.ss_family == AF_INET6) {
        auto const& inet6 = reinterpret_cast<sockaddr_in6 const&>(name);
        ::inet_ntop(AF_INET6, &inet6.sin6_addr, text.data(), text.size());
        port = ntohs(inet6.sin6_port);
    }
    address = text.data();
}

} // namespace

void tell_end(Log& log, std::string_view name, Peer const& peer, Error const& why) {
    if (why.kind == ErrorKind::malformed)
        log.warning("{}: client={} closed: {}", name, peer.to_string(), why.text);
    else if (why.kind != ErrorKind::closed)
        log.debug("{}: client={} closed: {}", name, peer.to_string(), why.text);
}

Peer peer_of(int fd, sockaddr_storage const& remote) {
    Peer peer;
    if (remote.ss_family == AF_INET || remote.ss_family == AF_INET6) {
        take_address(remote, peer.address, peer.port);
        sockaddr_storage local{};
        socklen_t size = sizeof local;
        if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) == 0)
            take_address(local, peer.local_address, peer.local_port);
        int const on = 1;
        ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        return peer;
    }
    peer.address = "unix";
    ucred credentials{};
    socklen_t size = sizeof credentials;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) == 0)
        peer.credentials = Peer::Credentials{credentials.pid, credentials.uid, credentials.gid};
    return peer;
}

std::string Peer::to_string() const {
    if (credentials) return fmt::format("unix[pid={} uid={}]", credentials->pid, credentials->uid);
    return port == 0 ? address : fmt::format("{}:{}", address, port);
}

Server::Server(Listener listener, ServerLimits limits, SessionFactory factory, Log& log, Metrics& metrics,
               std::string name)
    : listener_(std::move(listener)), limits_(limits), factory_(std::move(factory)), log_(log),
      name_(std::move(name)), accepted_(metrics.counter("postern_connections_total", "Connections accepted.",
                                                        fmt::format("listener=\"{}\"", name_))),
      open_(metrics.gauge("postern_connections_open", "Connections open now.",
                          fmt::format("listener=\"{}\"", name_))) {}

Server::~Server() { stop(); }

void Server::start() {
    poller_.reset(::epoll_create1(EPOLL_CLOEXEC));
    if (!poller_) throw std::system_error(errno, std::system_category(), "epoll_create1");
    epoll_event stop{EPOLLIN, {.fd = stop_.descriptor()}};
    ::epoll_ctl(poller_.get(), EPOLL_CTL_ADD, stop_.descriptor(), &stop);
    listen_on(EPOLL_CTL_ADD);
    keep_one_waiting();
}

void Server::stop() {
    if (stop_within(limits_.drain_timeout)) return;
    for (auto& worker : workers_) worker.thread.join(); // no other thread adds one now
    workers_.clear();
}

bool Server::stop_within(std::chrono::milliseconds drain_time) {
    stopping_ = true;
    stop_.wake();
    {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_ == 0; });
        for (auto const& worker : workers_)
            if (worker.waker) worker.waker->wake();
    }
    listener_.close();
    drain(drain_time);
    {
        std::lock_guard const lock(mutex_);
        for (auto const& worker : workers_)
            if (worker.connection >= 0) ::shutdown(worker.connection, SHUT_RDWR);
    }
    drain(leaving_time);
    join_ended();
    return workers_.empty();
}

// Waits until every worker has ended, at most so long.
void Server::drain(std::chrono::milliseconds time) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, time, [this] { return std::ranges::all_of(workers_, &Worker::ended); });
}

void Server::join_ended() {
    std::lock_guard const lock(mutex_); // which an ended worker does not take any more
    std::erase_if(workers_, [](Worker& worker) {
        if (worker.ended) worker.thread.join();
        return worker.ended;
    });
}

// ---- The workers' threads -------------------------------------------------------------------------------

void Server::work(Worker& self) {
    do {
        sockaddr_storage remote{};
        auto fd = accept_one(remote);
        {
            std::lock_guard const lock(mutex_);
            --waiting_;
            changed_.notify_all();
        }
        if (!fd) continue;
        keep_one_waiting();
        serve(self, std::move(fd), remote);
    } while (stays());
    std::lock_guard const lock(mutex_);
    self.ended = true;
    changed_.notify_all();
}

// Counted as waiting from here on.
bool Server::stays() {
    std::lock_guard const lock(mutex_);
    if (stopping_ || waiting_ >= spare_workers) return false;
    ++waiting_;
    return true;
}

// Somebody has to be there for the next connection, as long as there may be one.
void Server::keep_one_waiting() {
    join_ended();
    std::lock_guard const lock(mutex_);
    if (waiting_ == 0 && !stopping_ && workers_.size() < limits_.max_connections) add_worker();
}

void Server::add_worker() {
    auto& worker = workers_.emplace_back();
    ++waiting_;
    try {
        worker.thread = std::thread([this, &worker] { work(worker); });
    } catch (std::system_error const& failure) {
        --waiting_;
        workers_.pop_back();
        log_.error("{}: no more threads than {}: {}", name_, workers_.size(), failure.what());
    }
}

// One connection wakes one worker; whoever took it makes the listener wake the next.
void Server::listen_on(int operation) {
    epoll_event event{EPOLLIN | EPOLLONESHOT, {.fd = listener_.descriptor()}};
    ::epoll_ctl(poller_.get(), operation, listener_.descriptor(), &event);
}

// Nothing: the peer is gone again, or the server stops.
Descriptor Server::accept_one(sockaddr_storage& remote) {
    epoll_event event{};
    int const ready = ::epoll_wait(poller_.get(), &event, 1, -1);
    if (ready <= 0 || stopping_) return {};
    auto fd = listener_.accept(remote);
    if (fd && *fd) accepted_.add(); // before anybody can take the next one
    if (!fd) {
        log_.error("{}: {}", name_, fd.error().text);
        // What is open must end first; do not spin.
        pollfd waiting{stop_.descriptor(), POLLIN, 0};
        ::poll(&waiting, 1, 100);
    }
    listen_on(EPOLL_CTL_MOD);
    return fd ? std::move(*fd) : Descriptor();
}

void Server::serve(Worker& self, Descriptor fd, sockaddr_storage const& remote) {
    open_.add(1);
    converse(self, fd.get(), remote);
    {
        std::lock_guard const lock(mutex_);
        self.connection = -1;
        self.waker.reset();
    }
    ::shutdown(fd.get(), SHUT_RDWR);
    open_.add(-1);
}

// The outermost frame of a connection: whatever goes wrong in here ends this one and no other.
void Server::converse(Worker& self, int fd, sockaddr_storage const& remote) {
    Peer peer;
    try {
        peer = peer_of(fd, remote);
        Waker const waker;
        {
            std::lock_guard const lock(mutex_);
            self.connection = fd;
            self.waker = waker;
        }
        auto const session = factory_(peer, waker);
        auto const done = ConnectionLoop{*session, waker, fd, fd, limits_, &stopping_}.run();
        if (!done) tell_end(log_, name_, peer, done.error());
    } catch (std::exception const& broken) {
        log_.error("{}: client={} closed by a failure of our own: {}", name_, peer.to_string(),
                   broken.what());
    }
}

} // namespace postern::net
