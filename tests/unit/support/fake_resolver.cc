// The zone in a map and the Resolver on it.
#include "tests/unit/support/fake_resolver.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <stdexcept>

namespace postern::test {

namespace {

std::string octets_of(std::string_view address) {
    std::string const text(address);
    char octets[16];
    if (::inet_pton(AF_INET, text.c_str(), octets) == 1) return {octets, 4};
    if (::inet_pton(AF_INET6, text.c_str(), octets) == 1) return {octets, 16};
    throw std::invalid_argument("not an address: " + text);
}

std::string name_of(std::string_view name) {
    if (name.ends_with('.')) name.remove_suffix(1);
    return to_lower(name);
}

} // namespace

Zone& Zone::add(std::string_view name, dns::RecordType type, std::string data, std::uint16_t preference) {
    records_[{name_of(name), type}].push_back({std::move(data), preference});
    return *this;
}

Zone& Zone::a(std::string_view name, std::string_view address) {
    return add(name, dns::RecordType::a, octets_of(address));
}
Zone& Zone::aaaa(std::string_view name, std::string_view address) {
    return add(name, dns::RecordType::aaaa, octets_of(address));
}
Zone& Zone::txt(std::string_view name, std::string_view text) {
    return add(name, dns::RecordType::txt, std::string(text));
}
Zone& Zone::mx(std::string_view name, std::uint16_t preference, std::string_view host) {
    return add(name, dns::RecordType::mx, host == "." ? std::string() : std::string(host), preference);
}
Zone& Zone::ptr(std::string_view address, std::string_view name) {
    return add(dns::reverse_name(octets_of(address)), dns::RecordType::ptr, std::string(name));
}
Zone& Zone::ns(std::string_view name, std::string_view host) {
    return add(name, dns::RecordType::ns, std::string(host));
}
Zone& Zone::cname(std::string_view name, std::string_view target) {
    return add(name, dns::RecordType::cname, std::string(target));
}

Zone& Zone::lines(std::string_view text) {
    for (auto const raw : split(text, '\n')) {
        auto const line = trim(raw);
        if (line.empty()) continue;
        auto const [name, rest] = halve(line, ' ');
        auto const [type, data] = halve(trim(rest.value_or("")), ' ');
        auto const value = trim(data.value_or(""));
        if (type == "A")
            a(name, value);
        else if (type == "AAAA")
            aaaa(name, value);
        else if (type == "TXT")
            txt(name, value);
        else if (type == "PTR")
            add(name, dns::RecordType::ptr, std::string(value));
        else if (type == "CNAME")
            cname(name, value);
        else if (type == "NS")
            ns(name, value);
        else if (auto const words = split_words(value); type == "MX" && words.size() == 2)
            mx(name, parse_number<std::uint16_t>(words[0]).value_or(0), words[1]);
        else
            throw std::invalid_argument("not a record: " + std::string(line));
    }
    return *this;
}

Zone& Zone::fail(std::string_view name) {
    failing_names_.insert(name_of(name));
    return *this;
}
Zone& Zone::fail(std::string_view name, dns::RecordType type) {
    failing_.insert({name_of(name), type});
    return *this;
}
Zone& Zone::remove(std::string_view name) {
    auto const key = name_of(name);
    std::erase_if(records_, [&](auto const& entry) { return entry.first.first == key; });
    std::erase_if(failing_, [&](auto const& entry) { return entry.first == key; });
    failing_names_.erase(key);
    return *this;
}

std::vector<dns::DnsRecord> Zone::records(std::string_view name, dns::RecordType type) const {
    auto const found = records_.find({name_of(name), type});
    return found == records_.end() ? std::vector<dns::DnsRecord>() : found->second;
}

bool Zone::exists(std::string_view name) const {
    auto const key = name_of(name);
    for (auto const& [owner, records] : records_)
        if (owner.first == key || owner.first.ends_with("." + key)) return true;
    return false;
}

bool Zone::fails(std::string_view name, dns::RecordType type) const {
    auto const key = name_of(name);
    return failing_names_.contains(key) || failing_.contains({key, type});
}

Result<dns::DnsAnswer> Zone::answer(std::string_view asked, dns::RecordType type) const {
    auto name = name_of(asked);
    for (int links = 0; links <= 8; ++links) {
        if (fails(name, type)) return temporary("SERVFAIL");
        if (auto found = records(name, type); !found.empty())
            return dns::DnsAnswer{dns::DnsAnswer::Kind::found, std::move(found), ttl, secure};
        auto const links_to = records(name, dns::RecordType::cname);
        if (links_to.empty()) {
            auto const kind =
                exists(name) ? dns::DnsAnswer::Kind::no_records : dns::DnsAnswer::Kind::no_such_name;
            return dns::DnsAnswer{kind, {}, ttl, secure};
        }
        name = name_of(links_to.front().data);
    }
    return temporary("SERVFAIL"); // a CNAME loop
}

Result<dns::DnsAnswer> FakeResolver::lookup(std::string_view name, dns::RecordType type, Deadline deadline) {
    if (!dns::is_askable(name)) return malformed("not a domain name: " + printable(name));
    {
        std::lock_guard const lock(mutex_);
        questions_.push_back(std::string(name) + " " + std::string(dns::to_string(type)));
    }
    if (deadline.expired()) return temporary("no answer in time");
    return zone.answer(name, type);
}

std::vector<std::string> FakeResolver::questions() const {
    std::lock_guard const lock(mutex_);
    return questions_;
}

void FakeResolver::forget_questions() {
    std::lock_guard const lock(mutex_);
    questions_.clear();
}

} // namespace postern::test
