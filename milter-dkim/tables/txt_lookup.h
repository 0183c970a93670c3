// TXT records as this configuration sees them: TestDNSData and TestPublicKeys stand in for the DNS.
#pragma once

#include "common/dns/resolver.h"
#include "milter-dkim/configuration.h"

#include <string>
#include <vector>

namespace postern::milter_dkim {

// None when the name or the type is not there. Waits DNSTimeout at most; a name that cannot be asked for is
// malformed.
Result<std::vector<std::string>> txt_records(Configuration const& configuration, dns::Resolver& resolver,
                                             std::string const& name);

} // namespace postern::milter_dkim
