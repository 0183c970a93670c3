// A Resolver that answers from a map, and the zone data that the in-process DNS server serves too.
#pragma once

#include "common/dns/resolver.h"

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::test {

// Names without case. A name below which there are others exists (RFC 8020); CNAMEs are followed, 8 at most.
class Zone {
  public:
    Zone& a(std::string_view name, std::string_view address);
    Zone& aaaa(std::string_view name, std::string_view address);
    Zone& txt(std::string_view name, std::string_view text);
    Zone& mx(std::string_view name, std::uint16_t preference, std::string_view host);
    Zone& ptr(std::string_view address, std::string_view name); // the address, not the reverse name
    Zone& ns(std::string_view name, std::string_view host);
    Zone& cname(std::string_view name, std::string_view target);
    // One record a line: "name TYPE data", as "example.com MX 10 mail.example.com"; blank lines are nothing.
    Zone& lines(std::string_view text);
    // Every question (or those of one type) for the name fails: SERVFAIL.
    Zone& fail(std::string_view name);
    Zone& fail(std::string_view name, dns::RecordType type);
    Zone& remove(std::string_view name);

    Result<dns::DnsAnswer> answer(std::string_view name, dns::RecordType type) const;
    // The records of one name and type without following CNAMEs.
    std::vector<dns::DnsRecord> records(std::string_view name, dns::RecordType type) const;
    bool exists(std::string_view name) const;
    bool fails(std::string_view name, dns::RecordType type) const;

    std::uint32_t ttl = 300;
    bool secure = false; // what DnsAnswer::secure says

  private:
    Zone& add(std::string_view name, dns::RecordType type, std::string data, std::uint16_t preference = 0);
    using Key = std::pair<std::string, dns::RecordType>;
    std::map<Key, std::vector<dns::DnsRecord>> records_;
    std::set<Key> failing_;
    std::set<std::string> failing_names_;
};

// The Resolver on a Zone; remembers what was asked. Change the zone between lookups as you like.
class FakeResolver final : public dns::Resolver {
  public:
    FakeResolver() = default;
    explicit FakeResolver(Zone data) : zone(std::move(data)) {}

    // A deadline that has passed is a temporary error here too.
    Result<dns::DnsAnswer> lookup(std::string_view name, dns::RecordType type, Deadline deadline) override;

    std::vector<std::string> questions() const; // "example.com TXT", in order
    void forget_questions();

    Zone zone;

  private:
    mutable std::mutex mutex_; // guards questions_
    std::vector<std::string> questions_;
};

} // namespace postern::test
