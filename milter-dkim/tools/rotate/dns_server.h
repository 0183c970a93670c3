// Asks one given name server, over UDP and over TCP when the answer does not fit.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/net/address.h"
#include "milter-dkim/tools/rotate/dns_message.h"
#include "milter-dkim/tools/rotate/tsig.h"

#include <optional>
#include <string>
#include <string_view>

namespace postern::milter_dkim::tools {

// A numeric address and a port: "192.0.2.1", "192.0.2.1@5353", "2001:db8::1@53".
Result<net::Address> parse_dns_server(std::string_view text, std::uint16_t default_port);
std::string to_text(net::Address const& server); // "192.0.2.1@53"

class DnsServers {
  public:
    virtual ~DnsServers() = default;
    // One question without recursion. No way to the address (IPv6 on a host without it) is permanent;
    // silence, garbage and all else temporary. What the answer says is the caller's to judge.
    virtual Result<DnsMessage> ask(net::Address const& server, std::string_view name, DnsType type,
                                   Deadline deadline) = 0;
    // RFC 2136, over TCP; signed when there is a key. A refusal is permanent, and named.
    virtual Result<> update(net::Address const& server, TxtUpdate const& update,
                            std::optional<TsigKey> const& key, Deadline deadline) = 0;
};

class NetworkDnsServers final : public DnsServers {
  public:
    Result<DnsMessage> ask(net::Address const& server, std::string_view name, DnsType type,
                           Deadline deadline) override;
    Result<> update(net::Address const& server, TxtUpdate const& update, std::optional<TsigKey> const& key,
                    Deadline deadline) override;
};

} // namespace postern::milter_dkim::tools
