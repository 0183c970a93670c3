// Answers of password queries that are kept for a while.
#include "auth-socket/users/cache.h"

#include <algorithm>
#include <mutex>

namespace postern::auth_socket {

namespace {

// About what an entry takes, with the room of the containers.
std::size_t octets(std::string const& key, std::vector<Fields> const& rows) {
    std::size_t size = 2 * key.size() + 200;
    for (auto const& row : rows)
        for (auto const& [name, value] : row) size += name.size() + value.value_or("").size() + 80;
    return size;
}

} // namespace

AuthCache::AuthCache(CacheSettings settings, TimeSource now, Metrics& metrics)
    : settings_(settings), now_(std::move(now)),
      size_(metrics.gauge("auth_cache_octets", "What the auth cache takes, about.")) {
    auto const use = [&metrics](std::string_view result) {
        return &metrics.counter("auth_cache_lookups_total", "Password queries by what the auth cache had.",
                                "result=\"" + std::string(result) + "\"");
    };
    uses_ = {use("hit"), use("miss"), use("stale")};
}

std::optional<AuthCache::Found> AuthCache::find(std::string_view key) {
    std::shared_lock const lock(mutex_);
    auto const at = entries_.find(key);
    if (at == entries_.end()) return std::nullopt;
    auto& entry = at->second;
    if (!entry.is_used) entry.is_used = true;
    return Found{entry.rows, entry.until <= now_(), entry.last_matched};
}

AuthCache::Entries::iterator AuthCache::drop(Entries::iterator at) {
    used_ -= at->second.size;
    size_.set(static_cast<std::int64_t>(used_));
    order_.erase(at->second.position);
    return entries_.erase(at);
}

void AuthCache::keep(std::string const& key, std::string const& user, std::vector<Fields> const& rows,
                     std::uint64_t flushes) {
    std::lock_guard const lock(mutex_);
    if (flushes != flushes_) return;
    if (auto const old = entries_.find(key); old != entries_.end()) drop(old);
    auto const size = octets(key, rows);
    auto const ttl = rows.empty() ? settings_.negative_ttl : settings_.ttl;
    if (size > settings_.size || ttl <= ttl.zero()) return;
    auto& entry = entries_[key];
    entry.position = order_.insert(order_.end(), key);
    entry.user = user;
    entry.rows = std::make_shared<std::vector<Fields> const>(rows);
    entry.until = now_() + ttl;
    entry.size = size;
    used_ += size;
    make_room();
    size_.set(static_cast<std::int64_t>(used_));
}

void AuthCache::make_room() {
    while (used_ > settings_.size) {
        auto const first = entries_.find(order_.front());
        if (first->second.is_used.exchange(false))
            order_.splice(order_.end(), order_, order_.begin());
        else
            drop(first);
    }
}

void AuthCache::note(std::string_view key, bool matched) {
    std::shared_lock const lock(mutex_);
    if (auto const at = entries_.find(key); at != entries_.end()) at->second.last_matched = matched;
}

std::size_t AuthCache::flush(std::span<std::string const> users) {
    std::lock_guard const lock(mutex_);
    ++flushes_;
    std::size_t count = 0;
    for (auto at = entries_.begin(); at != entries_.end();) {
        auto const goes = users.empty() || std::ranges::find(users, at->second.user) != users.end();
        at = goes ? drop(at) : std::next(at);
        count += goes ? 1 : 0;
    }
    return count;
}

std::size_t AuthCache::size() const {
    std::shared_lock const lock(mutex_);
    return used_;
}

std::optional<std::string> CachedPassdb::key(Request const& request) const {
    auto const key = database_->cache_key(request);
    return key ? std::optional(name_ + '\0' + *key) : std::nullopt;
}

Result<std::vector<Fields>> CachedPassdb::ask(Request const& request, std::string const& key) const {
    auto const flushes = cache_->flushes();
    auto rows = database_->lookup(request);
    if (rows) cache_->keep(key, request.user, *rows, flushes);
    return rows;
}

Result<std::vector<Fields>> CachedPassdb::lookup(Request const& request) const {
    auto const mine = key(request);
    if (!mine) return database_->lookup(request);
    auto found = cache_->find(*mine);
    if (found && !found->expired) {
        cache_->count(AuthCache::Use::hit);
        return *found->rows;
    }
    cache_->count(AuthCache::Use::miss);
    auto rows = ask(request, *mine);
    // Known from before is better than "try again later" while the database is away; but somebody who was
    // unknown may have come since, and a proof that does not fit could not be told as temporary any more.
    auto const has_password = !request.password.empty();
    if (!rows && rows.error().kind == ErrorKind::temporary && found && !found->rows->empty() &&
        has_password) {
        cache_->count(AuthCache::Use::stale);
        return *found->rows;
    }
    return rows;
}

Passdb::AtHand CachedPassdb::at_hand(Request const& request) const {
    auto const mine = key(request);
    auto found = mine ? cache_->find(*mine) : std::nullopt;
    if (!found) return database_->at_hand(request);
    if (found->expired) return {};
    return {std::move(found->rows), found->last_matched};
}

// What is kept and did not fit is compared once more by itself.
bool CachedPassdb::answers_together(Request const& request) const {
    if (!database_->answers_together(request)) return false;
    auto const mine = key(request);
    return !mine || !cache_->find(*mine);
}

class CachedPassdb::Keeper final : public Passdb::Answers {
  public:
    Keeper(CachedPassdb const& passdb, std::span<Request const* const> requests, Passdb::Answers& to)
        : passdb_(passdb), requests_(requests), to_(to), flushes_(passdb.cache_->flushes()) {}
    void answer(std::size_t which, Result<std::vector<Fields>> rows) override {
        auto const& request = *requests_[which];
        auto const mine = passdb_.key(request);
        if (mine) passdb_.cache_->count(AuthCache::Use::miss);
        if (mine && rows) passdb_.cache_->keep(*mine, request.user, *rows, flushes_);
        to_.answer(which, std::move(rows));
    }
    void held_up(std::vector<std::size_t> which) override { to_.held_up(std::move(which)); }

  private:
    CachedPassdb const& passdb_;
    std::span<Request const* const> requests_;
    Passdb::Answers& to_;
    std::uint64_t const flushes_;
};

void CachedPassdb::lookup_all(std::span<Request const* const> requests, Answers& answers) const {
    Keeper keeper(*this, requests, answers);
    database_->lookup_all(requests, keeper);
}

// A password that was right a moment ago and is not now may have been changed in the database; and one that
// does not fit an answer whose time is over says nothing.
Result<std::optional<std::vector<Fields>>> CachedPassdb::lookup_again(Request const& request) const {
    auto const mine = key(request);
    auto const found = mine ? cache_->find(*mine) : std::nullopt;
    if (!found || (!found->last_matched && !found->expired)) return std::nullopt;
    auto rows = ask(request, *mine);
    if (!rows) return std::unexpected(std::move(rows.error()));
    return std::move(*rows);
}

void CachedPassdb::note(Request const& request, bool matched) const {
    if (auto const mine = key(request)) cache_->note(*mine, matched);
}

} // namespace postern::auth_socket
