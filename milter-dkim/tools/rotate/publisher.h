// Puts a key record into the DNS: an update, a command, or words for a person to do it.
#pragma once

#include "milter-dkim/tools/rotate/authorities.h"

#include <memory>
#include <optional>
#include <string>

namespace postern::milter_dkim::tools {

// After it the name has this TXT record and no other.
struct RecordChange {
    enum class Reason { publish, revoke } reason = Reason::publish;
    std::string domain;
    std::string name; // SELECTOR._domainkey.DOMAIN
    std::string text;
    std::uint32_t ttl = 3600; // seconds
};

class Publisher {
  public:
    virtual ~Publisher() = default;
    // Doing it twice is as good as once.
    virtual Result<> publish(RecordChange const& change, Authority const& authority, Deadline deadline) = 0;
    virtual std::string
    describe(Authority const& authority) const = 0; // for a dry run: "by an update to ..."
};

// RFC 2136 to the zone's primary server.
std::unique_ptr<Publisher> update_publisher(DnsServers& servers, std::optional<TsigKey> key);
// A shell command that finds an nsupdate(1) script on its standard input, and the change in POSTERN_REASON
// (publish or revoke), POSTERN_DOMAIN, POSTERN_NAME, POSTERN_TTL, POSTERN_TEXT and POSTERN_ZONE. to_primary:
// the script names the zone's primary server, since it was given with --server.
std::unique_ptr<Publisher> command_publisher(std::string command, bool to_primary);
// The record on standard output; whoever reads it publishes it.
std::unique_ptr<Publisher> print_publisher();

// The script: nsupdate and knsupdate both read it.
std::string update_script(RecordChange const& change, Authority const& authority, bool to_primary);

} // namespace postern::milter_dkim::tools
