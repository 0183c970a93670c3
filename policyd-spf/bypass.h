// Who is not checked: skip_addresses and the four whitelists, in stock's order.
#pragma once

#include "common/base/clock.h"
#include "common/dns/resolver.h"
#include "common/spf/check.h"
#include "policyd-spf/settings.h"

#include <optional>
#include <string>
#include <string_view>

namespace postern::policyd_spf {

class Bypass {
  public:
    Bypass(Settings const& settings, dns::Resolver& resolver, spf::Checker const& checker)
        : settings_(settings), resolver_(resolver), checker_(checker) {}

    // The reason as it stands in the header field ("SPF skipped for whitelisted relay - "), or absent: check.
    // What the DNS cannot say skips nobody. No question is asked after the deadline.
    std::optional<std::string_view> reason(spf::IpAddress const& client, std::string_view helo,
                                           Deadline deadline) const;

  private:
    Deadline whitelist_deadline(Deadline deadline) const;
    bool is_of_whitelisted_domain(spf::IpAddress const& client, Deadline deadline) const;
    bool has_whitelisted_helo(spf::IpAddress const& client, std::string_view helo, Deadline deadline) const;
    bool has_whitelisted_name(spf::IpAddress const& client, Deadline deadline) const;
    bool has_address(std::string_view name, spf::IpAddress const& address, Deadline deadline) const;

    Settings const& settings_;
    dns::Resolver& resolver_;
    spf::Checker const& checker_;
};

} // namespace postern::policyd_spf
