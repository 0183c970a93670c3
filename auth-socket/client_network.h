// Which clients count as one: single IPv4 addresses, whole IPv6 networks.
#pragma once

#include <string>
#include <string_view>

namespace postern::auth_socket {

// A provider gives one customer a /48 at most, and a single machine has at least a /64 to itself.
inline constexpr unsigned penalty_prefix_bits = 48;
inline constexpr unsigned turn_prefix_bits = 64;

// "192.0.2.1" as it is, also when written as ::ffff:192.0.2.1; IPv6 as its first ipv6_bits (a multiple of 8);
// empty when it is not an address.
std::string client_network(std::string_view address, unsigned ipv6_bits);

} // namespace postern::auth_socket
