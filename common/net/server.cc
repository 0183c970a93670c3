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
#include <sys/socket.h>

#include <array>
#include <cerrno>

namespace postern::net {

namespace {

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

struct Server::Connection {
    Connection(Descriptor socket, Peer who) : fd(std::move(socket)), peer(std::move(who)) {}

    Descriptor fd;
    Peer peer;
    Waker waker;
    std::atomic<bool> ended{false};
    std::thread thread;

    void run(Server& server);
};

// The thread's outermost frame: whatever goes wrong in here ends this connection and no other.
void Server::Connection::run(Server& server) {
    try {
        auto const session = server.factory_(peer, waker);
        auto const done =
            ConnectionLoop{*session, waker, fd.get(), fd.get(), server.limits_, &server.stopping_}.run();
        if (!done && done.error().kind == ErrorKind::malformed)
            server.log_.warning("{}: client={} closed: {}", server.name_, peer.to_string(),
                                done.error().text);
        else if (!done && done.error().kind != ErrorKind::closed)
            server.log_.debug("{}: client={} closed: {}", server.name_, peer.to_string(), done.error().text);
    } catch (std::exception const& broken) {
        server.log_.error("{}: client={} closed by a failure of our own: {}", server.name_, peer.to_string(),
                          broken.what());
    }
    ::shutdown(fd.get(), SHUT_RDWR);
    ended = true;
    server.changed_.wake();
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
    acceptor_ = std::thread([this] { accept_loop(); });
}

void Server::stop() {
    if (!acceptor_.joinable()) return;
    stopping_ = true;
    changed_.wake();
    acceptor_.join();
    listener_.close();
    for (auto const& connection : connections_) connection->waker.wake();
    auto const patience = Deadline::after(limits_.drain_timeout);
    while (!connections_.empty() && !patience.expired()) {
        pollfd waiting{changed_.descriptor(), POLLIN, 0};
        ::poll(&waiting, 1, patience.poll_timeout());
        changed_.clear();
        reap(false);
    }
    for (auto const& connection : connections_) ::shutdown(connection->fd.get(), SHUT_RDWR);
    reap(true);
}

void Server::reap(bool all) {
    for (auto it = connections_.begin(); it != connections_.end();) {
        if (!all && !(*it)->ended) {
            ++it;
            continue;
        }
        (*it)->thread.join();
        it = connections_.erase(it);
        open_.add(-1);
    }
}

bool Server::has_room() { return connections_.size() < limits_.max_connections; }

void Server::accept_loop() {
    while (!stopping_) {
        bool const room = has_room();
        std::array<pollfd, 2> waiting{
            {{changed_.descriptor(), POLLIN, 0}, {room ? listener_.descriptor() : -1, POLLIN, 0}}};
        if (::poll(waiting.data(), waiting.size(), -1) < 0) continue;
        if (waiting[0].revents != 0) {
            changed_.clear();
            reap(false);
        }
        if (!stopping_ && (waiting[1].revents & POLLIN) != 0) accept_one();
    }
}

void Server::accept_one() {
    sockaddr_storage remote{};
    socklen_t size = sizeof remote;
    Descriptor fd(::accept4(listener_.descriptor(), reinterpret_cast<sockaddr*>(&remote), &size,
                            SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd) {
        bool const peer_gone = errno == EAGAIN || errno == ECONNABORTED || errno == EINTR;
        if (peer_gone) return;
        log_.error("{}: accept: {}", name_, std::system_category().message(errno));
        // Out of descriptors or memory: what is open must end first; do not spin.
        pollfd waiting{changed_.descriptor(), POLLIN, 0};
        ::poll(&waiting, 1, 100);
        return;
    }
    accepted_.add();
    try {
        auto peer = peer_of(fd.get(), remote);
        auto connection = std::make_unique<Connection>(std::move(fd), std::move(peer));
        auto& running = *connection;
        running.thread = std::thread([this, &running] { running.run(*this); });
        connections_.push_back(std::move(connection));
        open_.add(1);
    } catch (std::exception const& failure) {
        log_.error("{}: no thread for a new connection: {}", name_, failure.what());
    }
}

} // namespace postern::net
