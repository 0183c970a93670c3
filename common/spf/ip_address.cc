// IP addresses.
#include "common/spf/ip_address.h"

#include "common/base/text.h"

#include <arpa/inet.h>

#include <algorithm>

namespace postern::spf {

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    constexpr std::size_t longest = INET6_ADDRSTRLEN;
    if (text.empty() || text.size() >= longest || text.find('\0') != std::string_view::npos)
        return std::nullopt;
    std::string const terminated(text);
    char octets[16];
    if (::inet_pton(AF_INET, terminated.c_str(), octets) == 1) return IpAddress({octets, 4});
    if (::inet_pton(AF_INET6, terminated.c_str(), octets) == 1) return IpAddress({octets, 16});
    return std::nullopt;
}

std::string IpAddress::to_string() const {
    char text[INET6_ADDRSTRLEN];
    ::inet_ntop(is_v4() ? AF_INET : AF_INET6, octets_.data(), text, sizeof text);
    return text;
}

std::string IpAddress::dotted() const {
    if (is_v4()) return to_string();
    constexpr char digits[] = "0123456789ABCDEF";
    std::string out;
    for (char const octet : octets_) {
        auto const value = static_cast<unsigned char>(octet);
        if (!out.empty()) out += '.';
        out += {digits[value >> 4], '.', digits[value & 0xf]};
    }
    return out;
}

IpAddress IpAddress::unmapped() const {
    constexpr std::string_view mapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
    return octets_.starts_with(mapped) ? IpAddress(octets_.substr(mapped.size())) : *this;
}

bool IpAddress::in_network(IpAddress const& other, unsigned prefix) const {
    return octets_.size() == other.octets_.size() && network(prefix) == other.network(prefix);
}

IpAddress IpAddress::network(unsigned prefix) const {
    auto cleared = octets_;
    for (unsigned i = 0; i < cleared.size(); ++i) {
        auto const kept = std::clamp(static_cast<int>(prefix) - static_cast<int>(i) * 8, 0, 8);
        auto const mask = static_cast<unsigned char>(0xff00 >> kept);
        cleared[i] = static_cast<char>(static_cast<unsigned char>(cleared[i]) & mask);
    }
    return IpAddress(std::move(cleared));
}

} // namespace postern::spf
