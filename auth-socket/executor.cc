// Worker threads and slots that are shared fairly between addresses.
#include "auth-socket/executor.h"

#include <algorithm>

namespace postern::auth_socket {

namespace {

class Work final : public Job {
  public:
    explicit Work(std::function<void()> work) : work_(std::move(work)) {}
    void run() override { work_(); }

  private:
    std::function<void()> work_;
};

std::size_t weight(Job const& job) { return job.kind() == nullptr ? 1 : 2; }

constexpr std::size_t keys_looked_at = 32; // one after the other without kin among their first jobs

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

bool Executor::submit(std::string_view key, std::function<void()> work) {
    return submit(key, std::make_unique<Work>(std::move(work)));
}

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

bool Workers::submit(std::string_view key, std::unique_ptr<Job>&& job) {
    Lock lock(mutex_);
    auto const mine = queues_.find(key);
    auto const mine_waiting = mine == queues_.end() ? 0 : mine->second.jobs.size();
    if (stopping_ || waiting_ >= limits_.queue || mine_waiting >= limits_.queue_per_key) {
        refused_.add();
        return false;
    }
    queues_[std::string(key)].jobs.push_back({std::move(job), Clock::now()});
    waiting_gauge_.set(static_cast<std::int64_t>(++waiting_));
    call_another(lock);
    return true;
}

Workers::Queues::iterator Workers::next_eligible() {
    return after(queues_, served_,
                 [this](Queue const& queue) { return !queue.jobs.empty() && queue.running < share(); });
}

bool Workers::wants_another() {
    return waiting_ > 0 && (running_ < limits_.brisk || !is_watched_) && next_eligible() != queues_.end();
}

// Lets go of the lock first: who is woken wants it.
void Workers::call_another(Lock& lock) {
    if (!wants_another()) return;
    if (idle_ == 0 && threads_.size() < limits_.threads) threads_.emplace_back([this] { run(); });
    bool const somebody_waits = idle_ > 0;
    lock.unlock();
    if (somebody_waits) work_.notify_one();
}

Workers::Queues::iterator Workers::wait_for_job(Lock& lock) {
    while (!stopping_) {
        auto const next = next_eligible();
        auto const is_there = next != queues_.end();
        if (is_there && running_ < limits_.brisk) return next;
        auto const too_long = is_there ? next->second.jobs.front().since + limits_.patience : Clock::now();
        if (is_there && too_long <= Clock::now()) return next;
        ++idle_;
        if (is_there && !is_watched_) {
            is_watched_ = true;
            work_.wait_until(lock, too_long);
            is_watched_ = false;
        } else {
            work_.wait(lock);
        }
        --idle_;
    }
    return queues_.end();
}

std::unique_ptr<Job> Workers::pop(Queue& queue) {
    auto job = std::move(queue.jobs.front().job);
    queue.jobs.pop_front();
    --waiting_;
    return job;
}

Workers::Taken Workers::take(Queues::iterator queue) {
    served_ = queue->first;
    Taken taken{pop(queue->second), {}};
    ++queue->second.running;
    running_ += weight(*taken.first);
    if (taken.first->kind() != nullptr) take_kin(taken);
    waiting_gauge_.set(static_cast<std::int64_t>(waiting_));
    return taken;
}

// Round and round the keys, as if there were a thread for each. They take none of their key's share.
void Workers::take_kin(Taken& taken) {
    auto const* const kind = taken.first->kind();
    auto at = queues_.upper_bound(served_);
    for (std::size_t strangers = 0; taken.others.size() + 1 < limits_.together &&
                                    strangers < std::min(queues_.size(), keys_looked_at);) {
        if (at == queues_.end()) at = queues_.begin();
        auto& [key, queue] = *at;
        if (queue.jobs.empty() || queue.jobs.front().job->kind() != kind) {
            ++strangers;
            ++at;
            continue;
        }
        strangers = 0;
        served_ = key;
        taken.others.push_back(pop(queue));
        at = queue.jobs.empty() && queue.running == 0 ? queues_.erase(at) : std::next(at);
    }
}

void Workers::give_back(std::string const& key, std::size_t weight) {
    running_ -= weight;
    auto const done = queues_.find(key);
    if (done == queues_.end()) return; // stopping
    --done->second.running;
    if (done->second.running == 0 && done->second.jobs.empty()) queues_.erase(done);
}

void Workers::run() {
    Lock lock(mutex_);
    for (auto queue = wait_for_job(lock); queue != queues_.end(); queue = wait_for_job(lock)) {
        auto const key = queue->first;
        auto taken = take(queue);
        auto const taken_weight = weight(*taken.first);
        call_another(lock); // the next one may have waited too long as well, or be another's turn now
        if (lock) lock.unlock();
        if (taken.others.empty())
            taken.first->run();
        else
            taken.first->run_with(std::move(taken.others));
        taken = {}; // what it holds goes before the lock is taken again
        lock.lock();
        give_back(key, taken_weight);
    }
}

} // namespace postern::auth_socket
