// The IgnoreHosts file.
#include "milter-dmarc/hosts.h"

#include "common/base/text.h"
#include "common/config/settings.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace postern::milter_dmarc {

namespace {

// 4 or 16 octets; empty when the text is no address. IPv4 within IPv6 is IPv4.
std::string address_octets(std::string_view text) {
    std::string const address(text);
    std::array<char, 16> octets{};
    if (::inet_pton(AF_INET, address.c_str(), octets.data()) == 1) return {octets.data(), 4};
    if (::inet_pton(AF_INET6, address.c_str(), octets.data()) != 1) return {};
    std::string const all(octets.data(), octets.size());
    std::string const mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    return all.starts_with(mapped) ? all.substr(12) : all;
}

bool is_in(std::string_view octets, std::string_view network, unsigned bits) {
    if (octets.size() != network.size()) return false;
    auto const whole = bits / 8;
    if (octets.substr(0, whole) != network.substr(0, whole)) return false;
    if (bits % 8 == 0) return true;
    auto const mask = static_cast<unsigned char>(0xff << (8 - bits % 8));
    return ((static_cast<unsigned char>(octets[whole]) ^ static_cast<unsigned char>(network[whole])) &
            mask) == 0;
}

} // namespace

HostList HostList::standard() { return *parse("127.0.0.1", "standard"); }

Result<HostList::Entry> HostList::parse_entry(std::string_view text) {
    Entry entry;
    if (text.starts_with('!')) {
        entry.excluded = true;
        text = trim(text.substr(1));
    }
    auto const [address, bits] = halve(text, '/');
    entry.network.octets = address_octets(address);
    if (entry.network.octets.empty()) {
        auto const is_name_char = [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; };
        if (bits || text.empty() || !std::ranges::all_of(text, is_name_char))
            return permanent("\"" + printable(text, 60) + "\" is no host name, address or network");
        entry.name = to_lower(text);
        return entry;
    }
    auto const most = static_cast<unsigned>(entry.network.octets.size() * 8);
    auto const count = bits ? parse_number<unsigned>(*bits) : most;
    if (!count || *count > most) return permanent("\"" + printable(text, 60) + "\" is no network");
    entry.network.bits = *count;
    return entry;
}

Result<HostList> HostList::parse(std::string_view text, std::string const& file) {
    HostList list;
    int number = 0;
    for (auto line : split(text, '\n')) {
        ++number;
        line = trim(line.substr(0, line.find('#')));
        if (line.empty()) continue;
        if (list.entries_.size() >= max_entries) return permanent(file + ": too many entries");
        auto entry = parse_entry(line);
        if (!entry) return permanent(config::Place{file, number}.to_string() + ": " + entry.error().text);
        list.entries_.push_back(std::move(*entry));
    }
    return list;
}

Result<HostList> HostList::load(std::string const& path) {
    auto const text = config::read_file(path);
    if (!text) return std::unexpected(text.error());
    return parse(*text, path);
}

bool HostList::matches(Entry const& entry, std::string_view name, std::string_view octets) {
    if (entry.name.empty()) return is_in(octets, entry.network.octets, entry.network.bits);
    if (entry.name.starts_with('.')) return ends_with_ignoring_case(name, entry.name);
    return equals_ignoring_case(name, entry.name);
}

bool HostList::contains(std::string_view name, std::string_view address) const {
    auto const octets = address_octets(address);
    bool found = false;
    for (auto const& entry : entries_) {
        if (!matches(entry, name, octets)) continue;
        if (entry.excluded) return false;
        found = true;
    }
    return found;
}

} // namespace postern::milter_dmarc
