// How many copies for one user are on their way at once (lmtp_user_concurrency_limit).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace postern::lmtp_deliver {

class Concurrency {
  public:
    // Held from RCPT to the end of the transaction.
    class Slot {
      public:
        Slot() = default;
        Slot(Slot&& other) noexcept
            : owner_(std::exchange(other.owner_, nullptr)), user_(std::move(other.user_)) {}
        Slot& operator=(Slot&& other) noexcept {
            std::swap(owner_, other.owner_);
            std::swap(user_, other.user_);
            return *this;
        }
        ~Slot() {
            if (owner_ != nullptr) owner_->release(user_);
        }

      private:
        friend class Concurrency;
        Slot(Concurrency& owner, std::string user) : owner_(&owner), user_(std::move(user)) {}
        Concurrency* owner_ = nullptr;
        std::string user_;
    };

    // Absent: limit slots are taken. A limit of 0 is none.
    std::optional<Slot> enter(std::string_view user, std::size_t limit) {
        if (limit == 0) return Slot();
        std::lock_guard const lock(mutex_);
        auto& count = counts_[std::string(user)];
        if (count >= limit) return std::nullopt;
        ++count;
        return Slot(*this, std::string(user));
    }

  private:
    void release(std::string const& user) {
        std::lock_guard const lock(mutex_);
        if (auto const found = counts_.find(user); found != counts_.end() && --found->second == 0)
            counts_.erase(found);
    }
    std::mutex mutex_; // guards counts_
    std::map<std::string, std::size_t, std::less<>> counts_;
};

} // namespace postern::lmtp_deliver
