// A list in order of use, and an index into it.
#include "sql-maps/answer_cache.h"

namespace postern::sql_maps {

std::optional<AnswerCache::Known> AnswerCache::known(std::string_view key, Clock::time_point now,
                                                     std::chrono::milliseconds positive,
                                                     std::chrono::milliseconds negative) {
    std::lock_guard const lock(mutex_);
    auto const place = places_.find(key);
    if (place == places_.end()) return std::nullopt;
    auto const& entry = *place->second;
    if (now - entry.since >= (entry.answer ? positive : negative)) return std::nullopt;
    entries_.splice(entries_.begin(), entries_, place->second);
    return Known{entry.answer, now - entry.since};
}

std::optional<AnswerCache::Known> AnswerCache::fresh(std::string_view key, Clock::time_point now) {
    return known(key, now, settings_.positive, settings_.negative);
}

std::optional<AnswerCache::Known> AnswerCache::stale(std::string_view key, Clock::time_point now) {
    return known(key, now, settings_.stale, settings_.stale);
}

std::size_t AnswerCache::epoch() const {
    std::lock_guard const lock(mutex_);
    return epoch_;
}

void AnswerCache::flush() {
    std::lock_guard const lock(mutex_);
    ++epoch_;
    places_.clear();
    entries_.clear();
}

void AnswerCache::remember(std::string_view key, Answer const& answer, Clock::time_point now,
                           std::size_t epoch) {
    bool const fits = key.size() + (answer ? answer->size() : 0) <= max_octets;
    std::lock_guard const lock(mutex_);
    if (epoch != epoch_) return;
    if (auto const place = places_.find(key); place != places_.end()) {
        auto const old = place->second;
        places_.erase(place);
        entries_.erase(old);
    }
    if (!fits || settings_.size == 0) return;
    entries_.push_front({std::string(key), answer, now});
    places_.emplace(entries_.front().key, entries_.begin());
    if (entries_.size() <= settings_.size) return;
    places_.erase(entries_.back().key);
    entries_.pop_back();
}

std::size_t AnswerCache::size() const {
    std::lock_guard const lock(mutex_);
    return entries_.size();
}

} // namespace postern::sql_maps
