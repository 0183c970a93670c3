// One run of milter-dkim-rotate, from what the command line says to the exit code.
#pragma once

#include "common/base/log.h"
#include "common/dns/resolver.h"
#include "milter-dkim/tools/rotate/options.h"

namespace postern::milter_dkim::tools {

// 0: nothing is left to do for now; 75: not everywhere in time, the next run goes on; 78: the configuration
// does not allow it; 1: a step failed.
int rotate(RotateOptions const& options, dns::Resolver& resolver, DnsServers& servers, Log& log);

} // namespace postern::milter_dkim::tools
