// IP addresses as SPF compares them: octets, networks, and the text of the macros.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::spf {

class IpAddress {
  public:
    // Dotted quad without leading zeros, or RFC 4291 text without a zone.
    static std::optional<IpAddress> parse(std::string_view text);
    static IpAddress from_octets(std::string_view octets) {
        return IpAddress(std::string(octets));
    } // 4 or 16

    bool is_v4() const { return octets_.size() == 4; }
    unsigned bits() const { return is_v4() ? 32 : 128; }
    std::string const& octets() const { return octets_; }
    std::string to_string() const; // %{c}: "192.0.2.1", "2001:db8::1"
    std::string dotted() const;    // %{i}: the same, or nibbles in upper case with dots
    // RFC 7208 5: an IPv4-mapped IPv6 address is the IPv4 address; any other address is itself.
    IpAddress unmapped() const;
    // Whether this address is in the network; never true across families. prefix: 0 to bits().
    bool in_network(IpAddress const& network, unsigned prefix) const;
    // The address with every bit behind the prefix cleared.
    IpAddress network(unsigned prefix) const;

    bool operator==(IpAddress const&) const = default;

  private:
    explicit IpAddress(std::string octets) : octets_(std::move(octets)) {}
    std::string octets_;
};

} // namespace postern::spf
