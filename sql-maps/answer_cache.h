// What a table answered before: for the cache's time to live, and while the database is away.
#pragma once

#include "sql-maps/answer.h"

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace postern::sql_maps {

struct CacheSettings {
    std::chrono::milliseconds positive{
        0}; // how long a value found is given out without asking; 0: ask always
    std::chrono::milliseconds negative{0}; // likewise for "not found"
    std::chrono::milliseconds stale{0}; // how old an answer may be that stands in for a database that is away
    std::size_t size = 10'000;          // keys of one table; the one used longest ago goes first

    bool remembers() const { return positive.count() > 0 || negative.count() > 0 || stale.count() > 0; }
};

// Thread-safe. One table's answers.
class AnswerCache {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t max_octets = 16'384; // of a key and its answer; larger ones are not kept

    explicit AnswerCache(CacheSettings settings) : settings_(settings) {}

    struct Known {
        Answer answer;
        Clock::duration age;
    };
    // Absent: unknown or too old.
    std::optional<Known> fresh(std::string_view key, Clock::time_point now);
    std::optional<Known> stale(std::string_view key, Clock::time_point now);
    // Taken before the database is asked and given back with the answer: an answer from before a flush is not
    // kept.
    std::size_t epoch() const;
    void remember(std::string_view key, Answer const& answer, Clock::time_point now, std::size_t epoch);
    void flush(); // the database has changed
    std::size_t size() const;

  private:
    struct Entry {
        std::string key;
        Answer answer;
        Clock::time_point since;
    };
    std::optional<Known> known(std::string_view key, Clock::time_point now,
                               std::chrono::milliseconds positive, std::chrono::milliseconds negative);

    CacheSettings settings_;
    mutable std::mutex mutex_; // guards what follows
    std::size_t epoch_ = 0;
    std::list<Entry> entries_;                                                // the one used last first
    std::unordered_map<std::string_view, std::list<Entry>::iterator> places_; // views into entries_
};

} // namespace postern::sql_maps
