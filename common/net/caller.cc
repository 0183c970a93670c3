// Reads once, lets the session answer, writes what can be written.
#include "common/net/caller.h"

#include "common/base/secret.h"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <utility>

namespace postern::net {

namespace {

// Told once for each arrival, so that no request needs a word with the poller.
constexpr unsigned for_reading = EPOLLIN | EPOLLRDHUP | EPOLLET;
constexpr unsigned for_writing = EPOLLOUT | EPOLLET;

} // namespace

Caller::Caller(Descriptor fd, Peer peer, ServerLimits const& limits, int poller, std::uint64_t id)
    : fd_(std::move(fd)), peer_(std::move(peer)), limits_(limits), poller_(poller), id_(id),
      idle_too_long_(Clock::now() + limits.idle_timeout) {}

Result<> Caller::begin(std::unique_ptr<Session> session, std::string greeting) {
    session_ = std::move(session);
    unsent_ = std::move(greeting);
    return watch(EPOLL_CTL_ADD, for_reading);
}

// Also tells of what is there already.
Result<> Caller::watch(int operation, unsigned events) {
    epoll_event event{events, {.u64 = id_}};
    if (::epoll_ctl(poller_, operation, fd_.get(), &event) != 0) return system_error("epoll_ctl", errno);
    return {};
}

Result<> Caller::serve(unsigned reasons, std::string& buffer) {
    if ((reasons & leave) != 0) return closed("the server's patience is over");
    if ((reasons & alarm) != 0) alarm_ = Clock::time_point::max();
    if (is_blocked() && (reasons & (writable | hung_up)) != 0)
        if (auto flushed = flush(); !flushed) return flushed;
    if (!is_over() && ((reasons & woken) != 0 || is_time_to_wake())) answer(session_->wake());
    if (is_over() || is_blocked() || (reasons & (readable | hung_up)) == 0) return {};
    return read((reasons & hung_up) != 0, buffer);
}

Result<> Caller::settle(bool stopping) {
    auto const now = Clock::now();
    if (!is_blocked() && is_idle()) {
        if (stopping)
            close({ErrorKind::temporary, "this server is stopping"});
        else if (now >= idle_too_long_)
            close({ErrorKind::temporary, "idle for too long"});
    }
    if (!unsent_.empty() && !is_blocked())
        if (auto flushed = flush(); !flushed) return flushed;
    if (is_blocked()) {
        if (now < must_be_sent_) return {};
        return closed("the peer does not read its answers");
    }
    if (ends_) return std::unexpected(*ends_);
    if (session_->finished()) return closed("");
    return std::exchange(is_to_be_read_, false) ? watch(EPOLL_CTL_MOD, for_reading) : Result<>();
}

bool Caller::is_time_to_wake() const {
    auto const wakes_at = session_->wakes_at();
    return wakes_at && wakes_at->expired();
}

// One piece at a time, so that nobody who sends without end keeps a thread from the others: where there is
// more, the poller tells of it once more.
Result<> Caller::read(bool to_the_end, std::string& buffer) {
    buffer.resize(limits_.read_size);
    auto const size = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return {};
    is_to_be_read_ = (size < 0 && errno == EINTR) || size == std::ssize(buffer) || to_the_end;
    if (size < 0 && errno == EINTR) return {};
    if (size < 0 && errno != ECONNRESET) return system_error("read", errno);
    if (size <= 0) {
        ends_ = Error{ErrorKind::closed, "the peer went away"}; // it may still take what wake() said
        return {};
    }
    std::span const octets(buffer.data(), static_cast<std::size_t>(size));
    auto reply = session_->receive({octets.data(), octets.size()});
    wipe(octets); // a password may be among them, and the next octets may come tomorrow
    answer(std::move(reply));
    return {};
}

void Caller::answer(Result<std::string> reply) {
    idle_too_long_ = Clock::now() + limits_.idle_timeout;
    if (!reply) return close(std::move(reply.error()));
    if (unsent_.empty())
        unsent_ = std::move(*reply);
    else
        unsent_ += *reply;
}

// The farewell goes out before the connection ends, and is not waited for by anybody.
void Caller::close(Error why) {
    unsent_ += session_->farewell(why);
    ends_ = std::move(why);
}

// The peer may be gone; then the error that ends the session is the one to tell.
Result<> Caller::flush() {
    std::string_view rest = unsent_;
    while (!rest.empty()) {
        auto const size = ::send(fd_.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
        if (size > 0) {
            rest.remove_prefix(static_cast<std::size_t>(size));
            continue;
        }
        if (size < 0 && errno == EINTR) continue;
        if (errno == EAGAIN || errno == EWOULDBLOCK) break;
        if (ends_) return std::unexpected(*ends_);
        if (errno == EPIPE || errno == ECONNRESET) return closed("the peer went away before its answer");
        return system_error("write", errno);
    }
    unsent_.erase(0, unsent_.size() - rest.size());
    if (!unsent_.empty() && !is_blocked()) {
        must_be_sent_ = Clock::now() + limits_.write_timeout;
        return watch(EPOLL_CTL_MOD, for_writing);
    }
    if (unsent_.empty() && is_blocked()) {
        must_be_sent_ = {};
        is_to_be_read_ = true;
    }
    return {};
}

std::optional<Caller::Clock::time_point> Caller::earlier_alarm() {
    auto due = Clock::time_point::max();
    if (is_blocked())
        due = must_be_sent_;
    else if (!session_->busy())
        due = idle_too_long_;
    if (auto const wakes_at = ends_ ? std::nullopt : session_->wakes_at())
        due = std::min(due, wakes_at->point());
    if (due >= alarm_) return std::nullopt;
    alarm_ = due;
    return due;
}

} // namespace postern::net
