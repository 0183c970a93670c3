// The host accepts, watches and rings alarms: one thread.
#include "common/net/switchboard.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <system_error>
#include <vector>

namespace postern::net {

Switchboard::Switchboard(Listener listener, ServerLimits limits, std::size_t workers, SessionFactory factory,
                         Log& log, Metrics& metrics, std::string name, std::size_t batch)
    : listener_(std::move(listener)), limits_(limits), least_workers_(std::max<std::size_t>(workers, 1)),
      batch_(batch), factory_(std::move(factory)), log_(log), name_(std::move(name)),
      accepted_(metrics.counter("postern_connections_total", "Connections accepted.",
                                fmt::format("listener=\"{}\"", name_))),
      open_(metrics.gauge("postern_connections_open", "Connections open now.",
                          fmt::format("listener=\"{}\"", name_))),
      poller_(::epoll_create1(EPOLL_CLOEXEC)), crew_(log_, name_, waker_) {
    epoll_event event{EPOLLIN | EPOLLET, {.u64 = 0}}; // of no client
    if (!poller_ || ::epoll_ctl(poller_.get(), EPOLL_CTL_ADD, worker_call_.descriptor(), &event) != 0)
        throw std::system_error(errno, std::system_category(), "epoll");
}

Switchboard::~Switchboard() { stop(); }

void Switchboard::start() {
    crew_.start(least_workers_, limits_.max_connections, [this] { work(); });
    host_ = std::thread([this] { host(); });
}

// A worker in the middle of a request answers it first. Shutting the sockets down wakes nobody who waits for
// a database; after drain_timeout its answer just has no reader any more.
void Switchboard::stop() {
    if (!host_.joinable()) return;
    stopping_ = true;
    waker_.wake();
    {
        std::unique_lock lock(mutex_);
        all_gone_.wait_for(lock, limits_.drain_timeout, [this] { return is_closed_ && clients_.empty(); });
    }
    over_ = true;
    waker_.wake();
    host_.join();
    listener_.close();
    {
        std::lock_guard const lock(mutex_);
        for (auto const& [id, client] : clients_) ::shutdown(client->descriptor(), SHUT_RDWR);
    }
    tell_all(Caller::leave);
    // Readable for ever: every worker that waits sees it, one after the other.
    Descriptor const end(::eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK));
    epoll_event event{EPOLLIN, {.u64 = 0}};
    ::epoll_ctl(poller_.get(), EPOLL_CTL_ADD, end.get(), &event);
    crew_.join();
    std::string buffer;
    Turns turns;
    for (take_ready(turns); !turns.empty(); take_ready(turns)) serve(turns, buffer); // what no worker came to
    // Whoever used a Waker may still be in there.
    std::unique_lock lock(mutex_);
    all_gone_.wait(lock, [this] { return clients_.empty(); });
}

void Switchboard::tell_all(unsigned reason) {
    std::vector<std::shared_ptr<Caller>> all;
    {
        std::lock_guard const lock(mutex_);
        for (auto const& [id, client] : clients_) all.push_back(client);
    }
    for (auto const& client : all) call(*client, reason);
}

void Switchboard::host() {
    while (!over_) {
        bool const is_open = listener_.descriptor() >= 0 && [this] {
            std::lock_guard const lock(mutex_);
            return clients_.size() < limits_.max_connections;
        }();
        std::array<pollfd, 2> ready{
            {{waker_.descriptor(), POLLIN, 0}, {is_open ? listener_.descriptor() : -1, POLLIN, 0}}};
        if (::poll(ready.data(), ready.size(), host_timeout()) < 0) continue;
        if (ready[0].revents != 0) waker_.clear();
        if (stopping_ && listener_.descriptor() >= 0) begin_to_stop();
        if (!stopping_ && (ready[1].revents & POLLIN) != 0) accept_one();
        crew_.look(somebody_is_ready());
        ring_alarms();
    }
}

void Switchboard::begin_to_stop() {
    listener_.close();
    tell_all(Caller::look);
    std::lock_guard const lock(mutex_);
    is_closed_ = true;
    all_gone_.notify_all();
}

int Switchboard::host_timeout() {
    auto wake_up = Deadline::never();
    {
        std::lock_guard const lock(mutex_);
        if (!alarms_.empty()) wake_up = Deadline::at(alarms_.begin()->first);
    }
    return Deadline::earlier(wake_up, Deadline::at(crew_.next_look())).poll_timeout();
}

bool Switchboard::somebody_is_ready() {
    std::lock_guard const lock(mutex_);
    return first_ready_ != nullptr;
}

void Switchboard::ring_alarms() {
    while (auto const client = take_alarmed()) call(*client, Caller::alarm);
}

std::shared_ptr<Caller> Switchboard::take_alarmed() {
    std::lock_guard const lock(mutex_);
    auto const now = Clock::now();
    while (!alarms_.empty() && alarms_.begin()->first <= now) {
        auto const client = clients_.find(alarms_.begin()->second);
        alarms_.erase(alarms_.begin());
        if (client != clients_.end()) return client->second;
    }
    return nullptr;
}

void Switchboard::accept_one() {
    sockaddr_storage remote{};
    auto fd = listener_.accept(remote);
    if (!fd) {
        log_.error("{}: {}", name_, fd.error().text);
        // What is open must end first; do not spin.
        pollfd waiting{waker_.descriptor(), POLLIN, 0};
        ::poll(&waiting, 1, 100);
        return;
    }
    if (!*fd) return;
    accepted_.add();
    try {
        admit(std::move(*fd), remote);
    } catch (std::exception const& failure) {
        log_.error("{}: a new connection is closed: {}", name_, failure.what());
    }
}

// What fails before others know of the connection fails alone.
void Switchboard::admit(Descriptor fd, sockaddr_storage const& remote) {
    auto peer = peer_of(fd.get(), remote);
    auto const client =
        std::make_shared<Caller>(std::move(fd), std::move(peer), limits_, poller_.get(), ++last_id_);
    Waker const waker([this, known = std::weak_ptr(client)] {
        if (auto const woken = known.lock()) call(*woken, Caller::woken);
    });
    auto session = factory_(client->peer(), waker);
    auto greeting = session->greeting();
    {
        std::lock_guard const lock(mutex_);
        clients_.emplace(client->id(), client);
    }
    open_.add(1);
    if (auto begun = client->begin(std::move(session), std::move(greeting)); !begun)
        return finish(*client, begun.error());
    attend(*client);
}

} // namespace postern::net
