// Threads that take requests as they come.
#include "common/net/crew.h"

#include <algorithm>
#include <system_error>

namespace postern::net {

namespace {

using std::chrono::milliseconds;

constexpr auto look_every = milliseconds(5); // at threads that do not come back
constexpr int quiet_looks = 100;             // then the host sleeps until all threads are busy again
constexpr auto idle_time = milliseconds(10'000);

} // namespace

void Crew::start(std::size_t least, std::size_t most, std::function<void()> work) {
    work_ = std::move(work);
    least_ = least;
    most_ = std::max(least, most);
    add(least_, least_);
}

std::optional<std::size_t> Crew::wait(int poller, std::span<epoll_event> events) {
    ++waiting_;
    int const count = ::epoll_wait(poller, events.data(), static_cast<int>(events.size()),
                                   static_cast<int>(idle_time.count()));
    bool const last = --waiting_ == 0;
    if (count == 0 && may_leave()) return std::nullopt;
    if (count <= 0) return 0;
    if (last && !watched_.exchange(true)) host_.wake();
    return static_cast<std::size_t>(count);
}

bool Crew::may_leave() {
    std::lock_guard const lock(mutex_);
    if (staying_ <= least_) return false;
    --staying_;
    return true;
}

void Crew::add(std::size_t count, std::size_t most) {
    std::lock_guard const lock(mutex_);
    for (; count > 0 && staying_ < most && !is_closed_; --count) {
        auto& member = members_.emplace_back();
        try {
            member.thread = std::thread([this, &member] { run(member); });
            ++staying_;
        } catch (std::system_error const& failure) {
            log_.error("{}: no more threads than {}: {}", name_, staying_, failure.what());
            members_.pop_back();
            return;
        }
    }
}

void Crew::run(Member& self) {
    work_();
    {
        std::lock_guard const lock(mutex_);
        self.ended = true; // from here on it touches nothing that join_ended() holds
    }
    host_.wake();
}

// No thread came back since the last look, and none waits: whatever holds them up must not hold up others.
void Crew::look(bool is_more) {
    if (!watched_ || Clock::now() < next_look_) return;
    next_look_ = Clock::now() + look_every;
    auto const rounds = rounds_.load();
    bool const busy = waiting_ == 0 || is_more;
    bool const stuck = busy && rounds_seen_ == rounds;
    rounds_seen_ = rounds;
    if (stuck) add(next_count_, most_);
    next_count_ = stuck ? next_count_ * 2 : 1;
    quiet_looks_ = busy ? 0 : quiet_looks_ + 1;
    join_ended();
    if (quiet_looks_ < quiet_looks) return;
    quiet_looks_ = 0;
    rounds_seen_.reset();
    watched_ = false;
}

void Crew::join_ended() {
    std::lock_guard const lock(mutex_);
    std::erase_if(members_, [](Member& member) {
        if (member.ended) member.thread.join();
        return member.ended;
    });
}

bool Crew::has_ended() const {
    std::lock_guard const lock(mutex_);
    return std::ranges::all_of(members_, &Member::ended);
}

void Crew::join() {
    {
        std::lock_guard const lock(mutex_);
        is_closed_ = true;
    }
    for (auto& member : members_) member.thread.join();
    members_.clear();
}

} // namespace postern::net
