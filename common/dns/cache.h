// Answers kept for their time to live, bounded in number and in octets; the oldest used goes first.
#pragma once

#include "common/base/error.h"
#include "common/dns/resolver.h"

#include <chrono>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>

namespace postern::dns {

struct CacheLimits {
    std::size_t entries = 20000;
    std::size_t octets = std::size_t{64} << 20; // names and data together
};

// Thread-safe. A failure is an answer too: it is kept as the Error it was.
class Cache {
  public:
    using Clock = std::chrono::steady_clock;

    explicit Cache(CacheLimits limits) : limits_(limits) {}

    // The answer with what is left of its ttl, or absent.
    std::optional<Result<DnsAnswer>> find(std::string const& key, Clock::time_point now);
    void put(std::string const& key, Result<DnsAnswer> answer, std::chrono::seconds ttl,
             Clock::time_point now);

    std::size_t size() const;
    std::size_t octets() const;

  private:
    struct Entry {
        std::string key;
        Result<DnsAnswer> answer;
        Clock::time_point expires;
        std::size_t octets;
    };
    using Entries = std::list<Entry>;
    void erase(Entries::iterator entry); // with mutex_ held

    CacheLimits limits_;
    mutable std::mutex mutex_;                                      // guards the three below
    Entries entries_;                                               // the last used first
    std::unordered_map<std::string_view, Entries::iterator> index_; // views into Entry::key
    std::size_t octets_ = 0;
};

} // namespace postern::dns
