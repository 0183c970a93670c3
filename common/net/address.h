// Socket addresses as configurations write them.
#pragma once

#include "common/base/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::net {

// unix:/path, local:/path, /path; inet:port@host, inet:host:port, inet:port (all interfaces), inet6:...;
// systemd:name for a socket that the service manager passed (LISTEN_FDNAMES).
struct Address {
    enum class Kind { unix_socket, inet, inet6, systemd };
    Kind kind = Kind::unix_socket;
    std::string path; // Unix: the path; systemd: the name
    std::string host; // inet: a name, an address or empty for all interfaces
    std::uint16_t port = 0;

    std::string to_string() const; // "unix:/path", "inet:host:port"
};

// An address to listen on, followed by "mode=0660 owner=postfix group=postfix" in any order.
struct ListenAddress {
    Address address;
    std::optional<unsigned> mode; // Unix sockets only
    std::string owner;            // a user name or number; empty: not changed
    std::string group;
};

Result<Address> parse_address(std::string_view text);
Result<ListenAddress> parse_listen_address(std::string_view text);

} // namespace postern::net
