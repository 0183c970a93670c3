// A milter in a process of its own: libmilter can be run only once in one.
#pragma once

#include "common/milter/session.h"
#include "tests/unit/support/milter_client.h"

#include <chrono>
#include <functional>
#include <string>

#include <sys/types.h>

namespace postern::test {

struct MilterProcessSettings {
    bool inet = false;           // else a Unix socket
    bool replace_socket = false; // hand the socket over as on Arch
    std::chrono::milliseconds grace{700};
};

class MilterProcess {
  public:
    // The factory is called in the child; log lines come back through log().
    using Make = std::function<milter::Factory(Log&)>;
    MilterProcess(milter::Negotiation negotiation, Make const& make, MilterProcessSettings settings = {});
    MilterProcess(MilterProcess const&) = delete;
    MilterProcess& operator=(MilterProcess const&) = delete;
    ~MilterProcess(); // stops it

    MilterClient client() const; // a new connection
    // Stops as SIGTERM would and waits. Gives the exit code: 0 drained, 3 a callback was left at work.
    int stop();
    std::chrono::milliseconds stop_time() const { return stop_time_; }
    // All lines, "level: text"; after stop().
    std::string const& log() const { return log_; }

  private:
    int run_child(int listener, int commands, int log_descriptor, milter::Negotiation negotiation,
                  Make const& make) const;

    MilterProcessSettings settings_;
    pid_t child_ = -1;
    int command_ = -1;
    int log_descriptor_ = -1;
    std::string path_;
    std::uint16_t port_ = 0;
    std::string log_;
    std::chrono::milliseconds stop_time_{0};
};

} // namespace postern::test
