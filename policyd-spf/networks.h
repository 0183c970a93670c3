// Lists of networks as skip_addresses and Whitelist write them.
#pragma once

#include "common/spf/ip_address.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::policyd_spf {

class Networks {
  public:
    // "192.0.2.0/24,2001:db8::1", blanks around entries allowed. Every good entry counts; each bad one is
    // told in errors, each one with host bits in warnings (its network counts).
    struct Parsed;
    static Parsed parse(std::string_view list);

    // Families are kept apart: an IPv4-mapped IPv6 address is an IPv6 address here.
    bool contains(spf::IpAddress const& address) const;
    bool empty() const { return entries_.empty(); }

  private:
    struct Entry {
        spf::IpAddress network;
        unsigned prefix;
    };
    std::vector<Entry> entries_;
};

struct Networks::Parsed {
    Networks networks;
    std::vector<std::string> errors; // "entry 3, "10.0.0.0/99", is no IP network"
    std::vector<std::string> warnings;
};

} // namespace postern::policyd_spf
