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
    // "192.0.2.1", "192.0.2.1@5353" or "2001:db8::1@53"; empty: the nameservers of resolv_conf, which is read
    // again whenever it changes.
    std::vector<std::string> nameservers;
    std::string resolv_conf = "/etc/resolv.conf";
    std::string trust_anchor_file;                  // DNSSEC; empty: answers are never secure
    std::vector<std::string> unbound_configuration; // files in unbound.conf's syntax (ResolverConfiguration)
    bool tcp_only = false;
    std::size_t cache_entries = 20000;
    std::size_t cache_octets = std::size_t{64} << 20;
    std::chrono::seconds longest_ttl = std::chrono::hours(1);
    std::chrono::seconds failure_ttl =
        std::chrono::seconds(5); // SERVFAIL and silence are remembered this long
    std::string hosts_file;      // empty: names from /etc/hosts are not used
};

// One thread, started by the first question, drives libunbound; callers wait with their own deadline, 60 s at
// most. Callers with the same question share one; it is given up when the last of their deadlines passes. The
// error of make() says what is wrong with the settings.
Result<std::unique_ptr<Resolver>> make_unbound_resolver(ResolverSettings const& settings, Log& log,
                                                        Metrics& metrics);

} // namespace postern::dns
