// Worker threads and slots that are shared fairly between addresses.
#include "auth-socket/executor.h"

namespace postern::auth_socket {

namespace {

// The first key after the one served last, round and round.
template <class Map, class Eligible>
typename Map::iterator after(Map& map, std::string const& served, Eligible const& eligible) {
    auto const begin = map.upper_bound(served);
    for (auto at = begin; at != map.end(); ++at)
        if (eligible(at->second)) return at;
    for (auto at = map.begin(); at != begin; ++at)
        if (eligible(at->second)) return at;
    return map.end();
}

} // namespace

void FairSlots::acquire(std::string_view key) {
    std::unique_lock lock(mutex_);
    if (free_ > 0) {
        --free_;
        served_ = key;
        return;
    }
    Waiter waiter;
    waiting_[std::string(key)].push_back(&waiter);
    waiting_gauge_.add(1);
    waiter.turn.wait(lock, [&waiter] { return waiter.ready; });
}

void FairSlots::release() {
    std::lock_guard const lock(mutex_);
    auto const next = after(waiting_, served_, [](auto const& queue) { return !queue.empty(); });
    if (next == waiting_.end()) {
        ++free_;
        return;
    }
    auto* waiter = next->second.front();
    next->second.pop_front();
    waiting_gauge_.add(-1);
    served_ = next->first;
    if (next->second.empty()) waiting_.erase(next);
    waiter->ready = true;
    waiter->turn.notify_one(); // under the lock: the waiter lives on its thread's stack
}

namespace {

std::string label(std::string_view pool) { return "pool=\"" + std::string(pool) + "\""; }

} // namespace

Workers::Workers(WorkerLimits limits, Metrics& metrics, std::string_view pool)
    : limits_(limits), waiting_gauge_(metrics.gauge(
                           "auth_jobs_waiting", "Logins and lookups that wait for a worker.", label(pool))),
      refused_(metrics.counter("auth_jobs_refused_total",
                               "Logins and lookups refused because the queue was full.", label(pool))) {}

Workers::~Workers() {
    {
        std::lock_guard const lock(mutex_);
        stopping_ = true;
        queues_.clear();
    }
    work_.notify_all();
    for (auto& thread : threads_) thread.join();
}

bool Workers::submit(std::string_view key, std::function<void()> job) {
    std::lock_guard const lock(mutex_);
    auto const mine = queues_.find(key);
    auto const mine_waiting = mine == queues_.end() ? 0 : mine->second.jobs.size();
    if (stopping_ || waiting_ >= limits_.queue || mine_waiting >= limits_.queue_per_key) {
        refused_.add();
        return false;
    }
    queues_[std::string(key)].jobs.push_back(std::move(job));
    waiting_gauge_.set(static_cast<std::int64_t>(++waiting_));
    if (idle_ < waiting_ && threads_.size() < limits_.threads) threads_.emplace_back([this] { run(); });
    if (idle_ > 0) work_.notify_one();
    return true;
}

Workers::Queues::iterator Workers::next_eligible() {
    return after(queues_, served_,
                 [this](Queue const& queue) { return !queue.jobs.empty() && queue.running < share(); });
}

void Workers::run() {
    std::unique_lock lock(mutex_);
    std::string key; // of the job just done
    while (true) {
        auto at = next_eligible();
        if (at == queues_.end() && !stopping_) {
            ++idle_;
            work_.wait(lock, [&] { return stopping_ || (at = next_eligible()) != queues_.end(); });
            --idle_;
        }
        if (stopping_) return;
        // Who had all the threads it may have can use the one that this thread leaves.
        if (idle_ > 0 && at->first != key && queues_.contains(key)) work_.notify_one();
        key = at->first;
        served_ = key;
        auto job = std::move(at->second.jobs.front());
        at->second.jobs.pop_front();
        ++at->second.running;
        waiting_gauge_.set(static_cast<std::int64_t>(--waiting_));
        lock.unlock();
        job();
        job = nullptr; // its captures go before the lock is taken again
        lock.lock();
        if (auto const done = queues_.find(key); done != queues_.end()) {
            --done->second.running;
            if (done->second.running == 0 && done->second.jobs.empty()) queues_.erase(done);
        }
    }
}

} // namespace postern::auth_socket
