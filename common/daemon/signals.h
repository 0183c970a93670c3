// SIGTERM, SIGINT, SIGHUP and SIGUSR1 as events for the main thread.
#pragma once

#include "common/base/clock.h"
#include "common/net/descriptor.h"

namespace postern::daemon {

// Plain handlers that write to a pipe, whichever thread the kernel gives the signal to. One per process.
// SIGPIPE is ignored from then on.
class Signals {
  public:
    enum class Event { none, stop, reload };

    explicit Signals(bool reload_on_usr1);
    ~Signals();
    Signals(Signals const&) = delete;
    Signals& operator=(Signals const&) = delete;

    // none: the time passed, or the other descriptor (when given) became readable.
    Event wait(Deadline until, int other_descriptor = -1);

  private:
    net::Descriptor read_end_;
    net::Descriptor write_end_;
};

} // namespace postern::daemon
