// Threads for what takes a core for a while.
#include "auth-socket/fair_threads.h"

#include "auth-socket/turns.h"

#include <system_error>

namespace postern::auth_socket {

FairThreads::~FairThreads() {
    {
        std::lock_guard const lock(mutex_);
        stopping_ = true;
    }
    work_.notify_all();
    for (auto& thread : threads_) thread.join();
}

void FairThreads::run(std::string_view key, std::function<void()> work) {
    Task task;
    task.work = std::move(work);
    std::unique_lock lock(mutex_);
    if (idle_ <= waiting()) begin_another();
    waiting_[std::string(key)].push_back(&task);
    waiting_gauge_.add(1);
    work_.notify_one();
    task.over.wait(lock, [&task] { return task.is_over; });
    lock.unlock();
    if (task.failure) std::rethrow_exception(task.failure);
}

// Without any there is nothing to wait for; with some the others do its work.
void FairThreads::begin_another() {
    if (threads_.size() >= count_) return;
    try {
        threads_.emplace_back([this] { serve(); });
    } catch (std::system_error const&) {
        if (threads_.empty()) throw;
    }
}

FairThreads::Task& FairThreads::take(Queues::iterator queue) {
    auto& task = *queue->second.front();
    queue->second.pop_front();
    waiting_gauge_.add(-1);
    served_ = queue->first;
    if (queue->second.empty()) waiting_.erase(queue);
    return task;
}

void FairThreads::serve() {
    std::unique_lock lock(mutex_);
    while (true) {
        ++idle_;
        work_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        --idle_;
        if (stopping_) return;
        auto& task = take(next_in_turn(waiting_, served_, [](auto const&) { return true; }));
        lock.unlock();
        try {
            task.work();
        } catch (...) {
            task.failure = std::current_exception();
        }
        lock.lock();
        task.is_over = true;
        task.over.notify_one(); // under the lock: it lives on the stack of who waits
    }
}

} // namespace postern::auth_socket
