// Who has which connection, and who waits for one; a thread closes what idles.
#include "common/sql/pool_impl.h"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

namespace postern::sql {

Result<Pool::Impl::Lease> Pool::Impl::acquire(Deadline deadline) {
    Lock lock(mutex_);
    while (true) {
        if (auto lease = take_idle(lock)) return std::move(*lease);
        bool const room = total_ < std::max<std::size_t>(settings_.size, 1);
        auto got = room ? connect_one(lock, deadline) : wait(lock, deadline);
        if (!got) return std::unexpected(std::move(got).error());
        if (*got) return std::move(**got);
    }
}

// Absent: there is room for a connection now, and the caller looks again.
Result<std::optional<Pool::Impl::Lease>> Pool::Impl::wait(Lock& lock, Deadline deadline) {
    Waiter me;
    waiters_.push_back(&me);
    auto const called = [&me] { return me.called; };
    if (deadline.is_never())
        me.woken.wait(lock, called);
    else if (!me.woken.wait_until(lock, deadline.point(), called)) {
        std::erase(waiters_, &me);
        if (total_ < settings_.size) return temporary("no database host answered in time");
        return temporary(fmt::format("no database connection was free in time; all {} are busy and {} more "
                                     "lookups wait: raise pool_size, or look for slow queries",
                                     settings_.size, waiters_.size()));
    }
    return std::move(me.lease);
}

// With a connection that is free, or without: then there is room for one.
void Pool::Impl::call_next(std::optional<Lease> lease) {
    auto& next = *waiters_.front();
    waiters_.pop_front();
    next.called = true;
    next.lease = std::move(lease);
    next.woken.notify_one(); // under the lock: the waiter lives until it gets it
}

void Pool::Impl::make_room() {
    --total_;
    if (!waiters_.empty()) call_next();
}

// The connection used last, so that those above the usual need grow old and are closed.
std::optional<Pool::Impl::Lease> Pool::Impl::take_idle(Lock& lock) {
    while (!idle_.empty()) {
        auto last = std::move(idle_.back());
        idle_.pop_back();
        lock.unlock();
        bool const good = last.connection->healthy();
        if (!good) last.connection.reset();
        lock.lock();
        if (good) return Lease{std::move(last.connection), last.host, false};
        open_.add(-1);
        make_room();
    }
    return std::nullopt;
}

void Pool::Impl::give_back(Lease lease) {
    std::lock_guard const lock(mutex_);
    lease.fresh = false;
    if (!waiters_.empty()) return call_next(std::move(lease));
    idle_.push_back({std::move(lease.connection), lease.host, Clock::now()});
    if (!reaper_.joinable()) return begin_reaper();
    // With others idle the reaper already waits for the oldest of them.
    if (idle_.size() == 1) reaper_wake_.notify_one();
}

// With the first connection, so that a program may still fork when it has made its pools. Without a thread to
// be had, what idles stays open until there is one.
void Pool::Impl::begin_reaper() {
    try {
        reaper_ = std::thread([this] { close_idle(); });
    } catch (std::system_error const& failure) {
        log_.warning("pool={}: no thread that closes idle connections: {}", settings_.name, failure.what());
    }
}

void Pool::Impl::give_up(Lease lease, Error const& error, bool host_is_to_blame) {
    lease.connection.reset();
    std::vector<Idle> gone;
    std::lock_guard const lock(mutex_);
    auto const first = std::ranges::stable_partition(idle_, [&](Idle const& idle) {
                           return idle.host != lease.host;
                       }).begin();
    gone.assign(std::move_iterator(first), std::move_iterator(idle_.end()));
    idle_.erase(first, idle_.end());
    open_.add(-1 - static_cast<std::int64_t>(gone.size()));
    if (host_is_to_blame) host_failed(hosts_[lease.host], error);
    for (auto room = 1 + gone.size(); room > 0; --room) make_room();
}

// The reaper's thread: closes what nobody used for idle_time.
void Pool::Impl::close_idle() {
    Lock lock(mutex_);
    while (!stopping_) {
        if (idle_.empty()) {
            reaper_wake_.wait(lock);
            continue;
        }
        auto const until = idle_.front().since + settings_.idle_time;
        if (Clock::now() < until) {
            reaper_wake_.wait_until(lock, until);
            continue;
        }
        auto old = std::move(idle_.front());
        idle_.erase(idle_.begin());
        open_.add(-1);
        make_room();
        lock.unlock();
        old.connection.reset(); // says goodbye to the server, which may take its time
        lock.lock();
    }
}

} // namespace postern::sql
