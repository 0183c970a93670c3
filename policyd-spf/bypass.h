// Who is not checked: skip_addresses and the four whitelists, in stock's order.
#pragma once

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/dns/resolver.h"
#include "common/spf/check.h"
#include "policyd-spf/settings.h"

#include <array>
#include <string_view>

namespace postern::policyd_spf {

class Bypass {
  public:
    enum class List { skip_addresses, whitelist, domain_whitelist, helo_whitelist, domain_whitelist_ptr };
    static constexpr std::array<List, 5> order = {List::skip_addresses, List::whitelist,
                                                  List::domain_whitelist, List::helo_whitelist,
                                                  List::domain_whitelist_ptr};
    struct Words {
        std::string_view comment;       // in the header field: "SPF skipped for whitelisted relay - "
        std::string_view result;        // in the memory of messages
        std::string_view enabled;       // debugLevel 4: "Whitelist enabled."
        std::string_view used_per_user; // debugLevel 4: "Whitelist check used peruser data"; may be empty
    };
    static Words words_of(List list);

    Bypass(Settings const& settings, dns::Resolver& resolver, spf::Checker const& checker, Log& log)
        : settings_(settings), resolver_(resolver), checker_(checker), log_(log) {}

    bool is_set(List list) const;
    // What the DNS cannot say skips nobody. No question is asked after the deadline.
    bool holds(List list, spf::IpAddress const& client, std::string_view helo, Deadline deadline) const;

  private:
    Deadline whitelist_deadline(Deadline deadline) const;
    bool is_of_whitelisted_domain(spf::IpAddress const& client, Deadline deadline) const;
    bool has_whitelisted_helo(spf::IpAddress const& client, std::string_view helo, Deadline deadline) const;
    bool has_whitelisted_name(spf::IpAddress const& client, Deadline deadline) const;
    bool has_address(std::string_view name, spf::IpAddress const& address, Deadline deadline) const;

    Settings const& settings_;
    dns::Resolver& resolver_;
    spf::Checker const& checker_;
    Log& log_;
};

} // namespace postern::policyd_spf
