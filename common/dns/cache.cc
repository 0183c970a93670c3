// The bounded cache of answers.
#include "common/dns/cache.h"

#include <algorithm>

namespace postern::dns {

namespace {

std::size_t octets_of(std::string const& key, Result<DnsAnswer> const& answer) {
    constexpr std::size_t overhead = 200; // list node, index node, answer
    auto sum = overhead + key.size();
    if (!answer) return sum + answer.error().text.size();
    for (auto const& record : answer->records) sum += sizeof(DnsRecord) + record.data.size();
    return sum;
}

} // namespace

std::optional<Result<DnsAnswer>> Cache::find(std::string const& key, Clock::time_point now) {
    std::lock_guard const lock(mutex_);
    auto const found = index_.find(key);
    if (found == index_.end()) return std::nullopt;
    auto const entry = found->second;
    if (entry->expires <= now) {
        erase(entry);
        return std::nullopt;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    auto answer = entry->answer;
    if (answer) {
        auto const left = std::chrono::ceil<std::chrono::seconds>(entry->expires - now);
        answer->ttl = static_cast<std::uint32_t>(left.count());
    }
    return answer;
}

void Cache::put(std::string const& key, Result<DnsAnswer> answer, std::chrono::seconds ttl,
                Clock::time_point now) {
    auto const octets = octets_of(key, answer);
    if (ttl.count() <= 0 || limits_.entries == 0 || octets > limits_.octets) return;
    std::lock_guard const lock(mutex_);
    if (auto const found = index_.find(key); found != index_.end()) erase(found->second);
    entries_.push_front({key, std::move(answer), now + ttl, octets});
    index_.emplace(entries_.front().key, entries_.begin());
    octets_ += octets;
    while (entries_.size() > limits_.entries || octets_ > limits_.octets) erase(std::prev(entries_.end()));
}

std::size_t Cache::size() const {
    std::lock_guard const lock(mutex_);
    return entries_.size();
}

std::size_t Cache::octets() const {
    std::lock_guard const lock(mutex_);
    return octets_;
}

void Cache::erase(Entries::iterator entry) {
    octets_ -= entry->octets;
    index_.erase(entry->key);
    entries_.erase(entry);
}

} // namespace postern::dns
