// Results of work done on other threads, waiting for the session that asked.
#pragma once

#include "common/net/server.h"

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace postern::auth_socket {

// Shared by a session and its jobs, so that a job may end after its session.
template <class T>
class Completions {
  public:
    explicit Completions(net::Waker waker) : waker_(std::move(waker)) {}

    void add(T result) {
        bool first = false;
        {
            std::lock_guard const lock(mutex_);
            first = results_.empty();
            results_.push_back(std::move(result));
        }
        if (first) waker_.wake(); // for the others behind it, too
    }
    std::vector<T> take() {
        std::lock_guard const lock(mutex_);
        return std::exchange(results_, {});
    }

  private:
    net::Waker waker_;
    std::mutex mutex_; // guards results_
    std::vector<T> results_;
};

} // namespace postern::auth_socket
