// Tells the running daemon to read its configuration again.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <memory>
#include <string>

namespace postern::milter_dkim::tools {

class Reloader {
  public:
    virtual ~Reloader() = default;
    // What was done, in words for the log. A daemon that does not run is no error: it starts with the new
    // key.
    virtual Result<std::string> reload(Deadline deadline) = 0;
    virtual std::string describe() const = 0;
};

// SIGUSR1, which reloads milter-dkim and OpenDKIM alike, to the process that the pid file names; only if that
// is one of the two, since the default of SIGUSR1 is to end a process.
std::unique_ptr<Reloader> signal_reloader(std::string pid_file);
std::unique_ptr<Reloader> command_reloader(std::string command);

} // namespace postern::milter_dkim::tools
