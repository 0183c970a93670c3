// milter-dkim-genzone: the records of a whole KeyTable, as a zone file or for nsupdate, as opendkim-genzone.
#pragma once

#include "common/daemon/command_line.h"
#include "milter-dkim/tools/outcome.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postern::milter_dkim::tools {

struct GenzoneOptions {
    std::string program;
    std::string data_set; // empty: usage
    std::optional<std::string> contact;
    std::optional<std::string> domain; // only this one's keys
    bool with_subdomains = false;      // and those below it
    bool with_suffix = false;          // ._domainkey behind the selector
    bool with_domain = false;          // and the domain behind that
    bool mail_only = false;            // s=email
    bool for_nsupdate = false;
    bool with_soa = false;
    std::vector<std::string> name_servers;
    std::optional<std::string> output; // a file
    std::optional<int> ttl;            // of each record
    int default_ttl = 86400;           // seconds, as all of the SOA's
    int refresh = 10800;
    int retry = 1800;
    int expire = 604800;
    int verbosity = 0;
    std::string host; // this one's name
    std::string user;
    std::int64_t now = 0; // Unix time
};

std::span<daemon::OptionSpec const> genzone_options();
// The error is one line of opendkim-genzone: "invalid TTL value".
Result<GenzoneOptions> read_genzone_options(std::string program, daemon::CommandLine const& line);
std::string genzone_usage(std::string const& program);

// out is the zone, to be written to options.output if that is given. Nothing of it is written when a key
// cannot be read: half a zone would take keys out of the DNS.
Outcome generate_zone(GenzoneOptions const& options);

} // namespace postern::milter_dkim::tools
