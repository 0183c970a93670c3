// When libmilter's own signal thread has come to rest.
#pragma once

#include <chrono>

namespace postern::milter {

// smfi_main() starts a thread that takes SIGHUP, SIGTERM and SIGINT with sigwait(3) and then ends the milter.
// A process's signal goes to the main thread as long as that one does not block it, except to a thread that
// calls sigwait while the signal is still on its way: so a daemon may not be called ready before that thread
// waits. Gives back whether it was seen waiting in time; without /proc it cannot be seen.
bool wait_for_signal_thread(std::chrono::milliseconds patience);

} // namespace postern::milter
