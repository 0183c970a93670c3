// Which servers answer for a name with authority, and whether each of them shows a key record.
#pragma once

#include "common/dns/resolver.h"
#include "milter-dkim/tools/rotate/dns_server.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim::tools {

struct AuthoritativeServer {
    std::string name; // of its NS record, or its address as it was given
    std::vector<net::Address> addresses;
};

struct Authority {
    std::string zone;
    std::vector<AuthoritativeServer> servers;
    std::vector<net::Address> primaries; // where updates go: the SOA's MNAME; empty: it has no address
};

struct AuthoritySettings {
    std::vector<net::Address> servers; // instead of those of the NS records
    std::vector<net::Address> primary; // instead of the SOA's
    std::string zone;                  // instead of looking for it
    std::uint16_t port = 53;
};

class Authorities {
  public:
    Authorities(AuthoritySettings settings, dns::Resolver& resolver, DnsServers& servers)
        : settings_(std::move(settings)), resolver_(resolver), servers_(servers) {}

    // For the record of one key. Permanent: nobody is authoritative; a name server without address is
    // temporary.
    Result<Authority> find(std::string_view record_name, Deadline deadline) const;

    // What the servers show at the name now. Missing: one sentence for each server that does not show exactly
    // this record. Conflicts: those that show anything but the expected
    // record or an empty p=.
    struct Sight {
        std::vector<std::string> missing;
        std::vector<std::string> conflicts;
        bool nowhere = false; // every server says that the name has no record at all
        bool everywhere() const { return missing.empty(); }
    };
    Sight look(Authority const& authority, std::string_view record_name, std::string_view record,
               Deadline deadline) const;

  private:
    Result<std::string> zone_of(std::string_view name, Deadline deadline) const;
    Result<std::vector<net::Address>> addresses_of(std::string_view host, Deadline deadline) const;
    Result<std::vector<AuthoritativeServer>> servers_of(std::string_view zone, Deadline deadline) const;
    Result<std::vector<net::Address>> primaries_of(std::string_view zone, Deadline deadline) const;

    AuthoritySettings settings_;
    dns::Resolver& resolver_;
    DnsServers& servers_;
};

// The k= and the p= of two records agree; blanks and other tags do not count. No k= is rsa, a missing p= is
// nothing.
bool same_key(std::string_view a, std::string_view b);
bool is_revoked(std::string_view record); // p= is there and empty

} // namespace postern::milter_dkim::tools
