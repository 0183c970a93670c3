// Which clients count as one.
#include "auth-socket/client_network.h"

#include "common/base/encoding.h"

#include <arpa/inet.h>
#include <fmt/format.h>

namespace postern::auth_socket {

std::string client_network(std::string_view address, unsigned ipv6_bits) {
    std::string const text(address);
    in_addr four{};
    if (inet_pton(AF_INET, text.c_str(), &four) == 1) return text;
    in6_addr six{};
    if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return {};
    if (IN6_IS_ADDR_V4MAPPED(&six))
        return fmt::format("{}.{}.{}.{}", six.s6_addr[12], six.s6_addr[13], six.s6_addr[14], six.s6_addr[15]);
    std::string_view const octets(reinterpret_cast<char const*>(six.s6_addr), ipv6_bits / 8);
    return fmt::format("{}/{}", hex_encode(octets), ipv6_bits);
}

} // namespace postern::auth_socket
