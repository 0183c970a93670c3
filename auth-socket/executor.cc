// Worker threads and slots that are shared fairly between addresses.
#include "auth-socket/executor.h"

#include "auth-socket/turns.h"

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

} // namespace

bool Executor::submit(std::string_view key, std::function<void()> work) {
    return submit(key, std::make_unique<Work>(std::move(work)));
}

namespace {

std::string label(std::string_view pool) { return "pool=\"" + std::string(pool) + "\""; }

} // namespace

Workers::Workers(WorkerLimits limits, Metrics& metrics, std::string_view pool)
    : limits_(limits), waiting_gauge_(metrics.gauge(
                           "auth_jobs_waiting", "Logins and lookups that wait for a worker.", label(pool))),
      refused_(metrics.counter("auth_jobs_refused_total",
                               "Logins and lookups refused because the queue was full.", label(pool))),
      failed_(metrics.counter("auth_jobs_failed_total",
                              "Logins and lookups that failed in a way nobody thought of.", label(pool))) {
    threads_.reserve(limits_.threads);
}

Workers::~Workers() {
    {
        std::lock_guard const lock(mutex_);
        stopping_ = true;
        queues_.clear();
    }
    work_.notify_all();
    for (auto& thread : threads_) thread.join();
}

bool Workers::is_full_for(std::string_view key) const {
    if (waiting_ >= limits_.queue) return true;
    auto const mine = queues_.find(key);
    auto const waiting = mine == queues_.end() ? 0 : mine->second.jobs.size();
    auto const share = std::max(limits_.least_per_key, (limits_.queue - waiting_) / 3);
    return waiting >= std::min(share, limits_.queue_per_key);
}

bool Workers::submit(std::string_view key, std::unique_ptr<Job>&& job) {
    Lock lock(mutex_);
    if (stopping_ || is_full_for(key)) {
        refused_.add();
        return false;
    }
    auto const is_first = threads_.empty();
    if (is_first && !begin_another()) {
        refused_.add();
        return false;
    }
    auto& mine_last = queues_[std::string(key)].jobs.emplace_back();
    mine_last = {std::move(job), Clock::now()};
    waiting_gauge_.set(static_cast<std::int64_t>(++waiting_));
    if (!is_first) call_another(lock);
    return true;
}

// False: the system has no more threads, and those that there are do the work.
bool Workers::begin_another() {
    try {
        threads_.emplace_back([this] { run(); });
        return true;
    } catch (std::exception const&) {
        return false;
    }
}

Workers::Queues::iterator Workers::next_eligible() {
    return next_in_turn(queues_, served_, [this](Queue const& queue) {
        return !queue.jobs.empty() && queue.running < share();
    });
}

// A key of which nothing runs does not wait for another's slow hash.
Workers::Queues::iterator Workers::next_at_once() {
    if (running_ < limits_.brisk) return next_eligible();
    return next_in_turn(queues_, served_, [](Queue const& queue) {
        return !queue.jobs.empty() && queue.running == 0 && queue.jobs.front().job->kind() == nullptr;
    });
}

bool Workers::wants_another() {
    if (waiting_ == 0 || (idle_ == 0 && threads_.size() == limits_.threads)) return false;
    return (!is_watched_ && next_eligible() != queues_.end()) || next_at_once() != queues_.end();
}

// Lets go of the lock first: who is woken wants it.
void Workers::call_another(Lock& lock) {
    if (!wants_another()) return;
    if (idle_ == 0 && threads_.size() < limits_.threads) begin_another();
    bool const somebody_waits = idle_ > 0;
    lock.unlock();
    if (somebody_waits) work_.notify_one();
}

Workers::Queues::iterator Workers::wait_for_job(Lock& lock) {
    while (!stopping_) {
        if (auto const at_once = next_at_once(); at_once != queues_.end()) return at_once;
        auto const next = next_eligible();
        auto const is_there = next != queues_.end();
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

// Jobs answer for their own failures; one that does not costs no thread and none of its key's share.
void Workers::work(Taken taken) {
    try {
        if (taken.others.empty())
            taken.first->run();
        else
            taken.first->run_with(std::move(taken.others));
    } catch (std::exception const&) {
        failed_.add();
    }
}

void Workers::run() {
    Lock lock(mutex_);
    for (auto queue = wait_for_job(lock); queue != queues_.end(); queue = wait_for_job(lock)) {
        auto const key = queue->first;
        auto taken = take(queue);
        auto const taken_weight = weight(*taken.first);
        call_another(lock); // the next one may have waited too long as well, or be another's turn now
        if (lock) lock.unlock();
        work(std::move(taken)); // what it holds goes before the lock is taken again
        lock.lock();
        give_back(key, taken_weight);
    }
}

} // namespace postern::auth_socket
