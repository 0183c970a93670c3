// What the settings file and the command line together ask for, with the files that they name read.
#pragma once

#include "common/daemon/command_line.h"
#include "common/daemon/service.h"
#include "milter-dmarc/session.h"

#include <memory>
#include <string>
#include <vector>

namespace postern::milter_dmarc {

struct Loaded {
    std::shared_ptr<Configuration> configuration; // without resolver; complete only when there are no errors
    std::vector<config::Problem> problems;
};

// path: the settings file; empty: there is none, all defaults. The command line's -p, -P, -u, -f, -l and -A
// win over it, here and at every reload.
Loaded load_configuration(std::string const& path, daemon::CommandLine const& line);

// Gives it a resolver (which has a thread: after the fork) and the SPF check on it. The one of the
// configuration before is kept unless the name servers changed; before may be null.
Result<> complete(Configuration& configuration, Configuration const* before, Log& log, Metrics& metrics);

daemon::Process process_of(Settings const& settings);

} // namespace postern::milter_dmarc
