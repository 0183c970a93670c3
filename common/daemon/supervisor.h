// AutoRestart: a parent that holds the sockets and starts the working process again when it dies.
#pragma once

#include "common/base/log.h"

#include <chrono>
#include <functional>

namespace postern::daemon {

// How often a process that died may be started again; both limits as OpenDKIM has them.
struct RestartPolicy {
    int most = 0;                        // in all; 0: no limit
    int rate = 0;                        // at most this many ...
    std::chrono::seconds rate_period{0}; // ... in this time; 0: no limit
};

// Runs work() in a child process until it ends with exit code 0, a stop signal comes, or the policy is used
// up. Passes SIGHUP (and SIGUSR1 when usr1 is set) on to the child. The sockets stay open in the parent, so
// that no client is refused in between. Gives back the exit code for the whole.
int supervise(RestartPolicy const& policy, bool usr1, std::function<int()> const& work, Log& log);

} // namespace postern::daemon
