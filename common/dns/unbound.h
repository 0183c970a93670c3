// The Resolver of production: libunbound behind a cache that is bounded and shared.
#pragma once

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/dns/resolver.h"

#include <memory>
#include <string>
#include <vector>

namespace postern::dns {

struct ResolverSettings {
    // "192.0.2.1", "192.0.2.1@5353" or "2001:db8::1@53"; empty: the nameservers of /etc/resolv.conf.
    std::vector<std::string> nameservers;
    std::string trust_anchor_file;                  // DNSSEC; empty: answers are never secure
    std::vector<std::string> unbound_configuration; // files in unbound.conf's syntax (ResolverConfiguration)
    std::size_t cache_entries = 20000;
    std::chrono::seconds longest_ttl = std::chrono::hours(1);
    std::chrono::seconds failure_ttl =
        std::chrono::seconds(5); // SERVFAIL and silence are remembered this long
    std::string hosts_file;      // empty: names from /etc/hosts are not used
};

// One thread drives libunbound; callers wait with their own deadline. The error of make() says what is wrong
// with the settings.
Result<std::unique_ptr<Resolver>> make_unbound_resolver(ResolverSettings const& settings, Log& log,
                                                        Metrics& metrics);

} // namespace postern::dns
