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

constexpr auto idle_look_every = std::chrono::seconds(60);
constexpr std::size_t quick_workers = 1;     // are enough as long as every turn is a quick one
constexpr auto quick_turn = milliseconds(4); // from taking clients to their answers

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
    : listener_(std::move(listener)), limits_(limits), usual_workers_(std::max<std::size_t>(workers, 1)),
      least_workers_(usual_workers_), factory_(std::move(factory)), log_(log), name_(std::move(name)),
      accepted_(metrics.counter("postern_connections_total", "Connections accepted.",
                                fmt::format("listener=\"{}\"", name_))),
      open_(metrics.gauge("postern_connections_open", "Connections open now.",
                          fmt::format("listener=\"{}\"", name_))),
      poller_(::epoll_create1(EPOLL_CLOEXEC)),
      handed_over_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE)),
      next_idle_look_(Clock::now() + idle_look_every), crew_(log_, name_, waker_) {
    if (!poller_) throw std::system_error(errno, std::system_category(), "epoll_create1");
    if (!handed_over_) throw std::system_error(errno, std::system_category(), "eventfd");
    epoll_event event{EPOLLIN, {.ptr = &handed_over_}};
    ::epoll_ctl(poller_.get(), EPOLL_CTL_ADD, handed_over_.get(), &event);
    together_ = [](std::vector<Turn> turns) {
        for (auto& turn : turns) turn.let_session_answer();
    };
}

Crowd::~Crowd() { stop(); }

void Crowd::answer_together(Together together) {
    together_ = std::move(together);
    most_at_once_ = max_together;
    at_once_ = max_together;
    least_workers_ = std::min(quick_workers, usual_workers_);
}

void Crowd::start() {
    crew_.start(least_workers_, std::max(usual_workers_, limits_.max_connections), [this] { work(); });
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
    while (!crew_.has_ended() && wait_for(waker_.descriptor(), POLLIN, patience)) waker_.clear();
    {
        std::lock_guard const lock(mutex_);
        for (auto const& [fd, client] : clients_) ::shutdown(fd, SHUT_RDWR);
    }
    crew_.join();
    work_.clear();
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
        crew_.look(false);
        if (Clock::now() >= next_idle_look_) close_idle();
    }
}

int Crowd::host_timeout() {
    return Deadline::at(std::min(next_idle_look_, crew_.next_look())).poll_timeout();
}

void Crowd::accept_one() {
    sockaddr_storage remote{};
    auto fd = listener_.accept(remote);
    if (!fd) {
        log_.error("{}: {}", name_, fd.error().text);
        // What is open must end first; do not spin.
        wait_for(waker_.descriptor(), POLLIN, Deadline::after(milliseconds(100)));
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

// Its worker sees the end of the stream.
void Crowd::close_idle() {
    next_idle_look_ = Clock::now() + idle_look_every;
    auto const oldest = (Clock::now() - limits_.idle_timeout).time_since_epoch().count();
    std::lock_guard const lock(mutex_);
    for (auto const& [fd, client] : clients_)
        if (client->heard < oldest) ::shutdown(fd, SHUT_RDWR);
}

// ---- The workers' threads -------------------------------------------------------------------------------

// What one worker takes in one go.
struct Crowd::Hands {
    std::array<epoll_event, max_together> events{};
    std::vector<std::string> buffers; // of the clients, in the same order
};

void Crowd::work() {
    Hands hands;
    while (!stopping_) {
        auto const count = crew_.wait(poller_.get(), std::span(hands.events).first(at_once_));
        if (!count) break;
        if (*count == 0) continue;
        if (!serve(hands, *count)) break;
        crew_.came_back();
    }
    while (work_handed_over()) continue; // what was given away while everybody stopped
}

// False at stop().
bool Crowd::serve(Hands& hands, std::size_t count) {
    auto const begun = Clock::now();
    bool stops = false;
    bool has_work = false;
    std::vector<Turn> turns;
    turns.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        auto* const what = hands.events[i].data.ptr;
        stops |= what == nullptr;
        has_work |= what == &handed_over_;
        if (what == nullptr || what == &handed_over_) continue;
        if (hands.buffers.size() == turns.size()) hands.buffers.emplace_back(limits_.read_size, '\0');
        auto& client = *static_cast<Client*>(what);
        auto const bytes = read(client, hands.buffers[turns.size()]);
        if (bytes && !bytes->empty())
            turns.emplace_back(*this, client, *bytes);
        else
            settle(client, bytes ? Result<std::string>(std::string()) : std::unexpected(bytes.error()));
    }
    try {
        if (!turns.empty()) together_(std::move(turns));
    } catch (std::exception const& broken) {
        log_.error("{}: clients closed by a failure of our own: {}", name_, broken.what());
    }
    if (has_work) work_handed_over();
    judge_pace(count, Clock::now() - begun);
    return !stops;
}

// The next ones that come together are more, or fewer, so that none waits long for its neighbours; and when a
// database is slow there are more who ask it.
void Crowd::judge_pace(std::size_t taken, Clock::duration took) {
    auto const now = at_once_.load();
    if (took <= quick_turn) {
        if (taken >= now) at_once_ = std::min(now * 2, most_at_once_);
        return;
    }
    at_once_ = std::max<std::size_t>(now / 2, 1);
    if (crew_.all_are_busy()) crew_.add(1, usual_workers_);
}

void Crowd::hand_over(Work work) {
    {
        std::lock_guard const lock(mutex_);
        work_.push_back(std::move(work));
    }
    std::uint64_t const one = 1;
    [[maybe_unused]] auto const written = ::write(handed_over_.get(), &one, sizeof one);
}

bool Crowd::work_handed_over() {
    std::uint64_t one = 0;
    if (::read(handed_over_.get(), &one, sizeof one) != sizeof one) return false; // another worker has it
    Work work;
    {
        std::lock_guard const lock(mutex_);
        if (work_.empty()) return false;
        work = std::move(work_.front());
        work_.pop_front();
    }
    try {
        work();
    } catch (std::exception const& broken) {
        log_.error("{}: clients closed by a failure of our own: {}", name_, broken.what());
    }
    return true;
}

Crowd::Turn::~Turn() {
    if (client_ != nullptr) answer(closed(""));
}

Session& Crowd::Turn::session() const { return *client_->session; }

void Crowd::Turn::answer(Result<std::string> reply) {
    crowd_->settle(*std::exchange(client_, nullptr), reply);
}

// The outermost frame of a request: whatever goes wrong in here ends this connection and no other.
void Crowd::Turn::let_session_answer() {
    Result<std::string> reply;
    try {
        reply = client_->session->receive(bytes_);
    } catch (std::exception const& broken) {
        crowd_->log_.error("{}: client={} closed by a failure of our own: {}", crowd_->name_,
                           client_->peer.to_string(), broken.what());
        reply = closed("");
    }
    answer(std::move(reply));
}

void Crowd::settle(Client& client, Result<std::string> const& reply) {
    Result<> done;
    {
        // Whoever has the client next sees all that was done here; the kernel alone would see to it, but says
        // so to no tool.
        std::lock_guard const turn(client.turn);
        done = reply ? send(client, *reply) : Result<>(std::unexpected(reply.error()));
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

// Empty: nothing came after all.
Result<std::string_view> Crowd::read(Client& client, std::string& buffer) const {
    std::lock_guard const turn(client.turn);
    auto const size = ::read(client.fd.get(), buffer.data(), buffer.size());
    if (size < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return std::string_view();
    if (size == 0 || (size < 0 && errno == ECONNRESET)) return closed("the peer went away");
    if (size < 0) return system_error("read", errno);
    client.heard.store(Clock::now().time_since_epoch().count(), std::memory_order_relaxed);
    return std::string_view(buffer.data(), static_cast<std::size_t>(size));
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
    tell_end(log_, name_, client.peer, why);
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
