// Records and networks for people.
#include "common/spf/trace.h"

#include "common/base/text.h"
#include "common/spf/ip_address.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::spf {

namespace {

constexpr std::size_t max_records = 5;
constexpr std::size_t max_networks = 3;

std::string shown(dns::DnsRecord const& record, dns::RecordType type) {
    switch (type) {
    case dns::RecordType::a:
    case dns::RecordType::aaaa: return IpAddress::from_octets(record.data).to_string();
    case dns::RecordType::mx:
        return fmt::format("{} {}", record.preference, record.data.empty() ? "." : record.data);
    case dns::RecordType::txt: return "\"" + record.data + "\"";
    case dns::RecordType::ns:
    case dns::RecordType::cname:
    case dns::RecordType::soa:
    case dns::RecordType::ptr: break;
    }
    return record.data;
}

} // namespace

std::string shown_records(std::vector<dns::DnsRecord> const& records, dns::RecordType type) {
    if (records.empty()) return "none";
    std::vector<std::string> words;
    for (std::size_t i = 0; i < std::min(records.size(), max_records); ++i)
        words.push_back(shown(records[i], type));
    auto out = join(words, ", ");
    if (records.size() > max_records) out += fmt::format(" and {} more", records.size() - max_records);
    return out;
}

std::vector<std::string> shown_networks(std::span<Term const> terms) {
    if (terms.size() > max_networks)
        return {fmt::format("{} ... {}: {} networks, none holds the client", terms.front().text,
                            terms.back().text, terms.size())};
    std::vector<std::string> lines;
    for (auto const& term : terms) lines.push_back(term.text + ": does not match");
    return lines;
}

} // namespace postern::spf
