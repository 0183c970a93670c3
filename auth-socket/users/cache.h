// Answers of password queries that are kept for a while (auth_cache_size, auth_cache_ttl).
#pragma once

#include "auth-socket/logins.h"
#include "auth-socket/users/database.h"
#include "common/base/metrics.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

struct CacheSettings {
    std::size_t size = 0; // octets; 0: none
    std::chrono::milliseconds ttl = std::chrono::hours(1);
    std::chrono::milliseconds negative_ttl = std::chrono::hours(1); // of unknown users
};

// Thread-safe; lookups do not wait for each other. Beyond its size the oldest entry goes that was not used
// since it was passed over the last time.
class AuthCache {
  public:
    AuthCache(CacheSettings settings, TimeSource now, Metrics& metrics);

    struct Found {
        std::shared_ptr<std::vector<Fields> const> rows; // none: the user was unknown
        bool expired = false;                            // only to be used when the database is away
        bool last_matched = false;                       // the last password tried was right
    };
    std::optional<Found> find(std::string_view key);
    // What became of a lookup, for the metrics.
    enum class Use { hit, miss, stale };
    void count(Use use) { uses_[static_cast<std::size_t>(use)]->add(); }
    // Taken before the database is asked: what it said before a flush is not kept after it.
    std::uint64_t flushes() const { return flushes_; }
    void keep(std::string const& key, std::string const& user, std::vector<Fields> const& rows,
              std::uint64_t flushes);
    void note(std::string_view key, bool matched);
    // All of it, or what belongs to these users. Gives how many went.
    std::size_t flush(std::span<std::string const> users);
    std::size_t size() const; // octets in use

  private:
    struct Entry {
        std::string user;
        std::shared_ptr<std::vector<Fields> const> rows;
        Deadline::Clock::time_point until;
        std::atomic<bool> last_matched{false};
        std::atomic<bool> is_used{false}; // since it came to the end of order_
        std::size_t size = 0;
        std::list<std::string>::iterator position;
    };
    using Entries = std::map<std::string, Entry, std::less<>>;
    Entries::iterator drop(Entries::iterator at);
    void make_room();

    CacheSettings const settings_;
    TimeSource now_;
    std::array<Counter*, 3> uses_;
    Gauge& size_;
    mutable std::shared_mutex mutex_; // guards all below; shared: what is atomic may be written
    Entries entries_;
    std::list<std::string> order_; // keys; those at the beginning go first
    std::size_t used_ = 0;
    std::atomic<std::uint64_t> flushes_{0};
};

// A passdb whose answers are kept. One whose cache_key() is absent is asked every time.
class CachedPassdb final : public Passdb {
  public:
    // name tells this passdb's keys from others'.
    CachedPassdb(std::shared_ptr<Passdb const> database, std::shared_ptr<AuthCache> cache, std::string name)
        : database_(std::move(database)), cache_(std::move(cache)), name_(std::move(name)) {}

    std::string default_scheme() const override { return database_->default_scheme(); }
    Result<std::vector<Fields>> lookup(Request const& request) const override;
    AtHand at_hand(Request const& request) const override;
    bool answers_together(Request const& request) const override;
    void lookup_all(std::span<Request const* const> requests, Answers& answers) const override;
    Result<std::optional<std::vector<Fields>>> lookup_again(Request const& request) const override;
    void note(Request const& request, bool matched) const override;
    bool takes_notes() const override { return true; }
    std::optional<Result<Checked>> check(Request const& request, Secret const& password) const override {
        return database_->check(request, password);
    }
    bool asks_web() const override { return database_->asks_web(); }
    bool knows_users() const override { return database_->knows_users(); }

  private:
    std::optional<std::string> key(Request const& request) const;
    Result<std::vector<Fields>> ask(Request const& request, std::string const& key) const;
    class Keeper;

    std::shared_ptr<Passdb const> const database_;
    std::shared_ptr<AuthCache> const cache_;
    std::string const name_;
};

} // namespace postern::auth_socket
