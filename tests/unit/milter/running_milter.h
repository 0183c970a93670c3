// A milter on a socket of its own, in this process.
#pragma once

#include "common/daemon/milter_server.h"
#include "tests/unit/support/milter_client.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <string>

namespace postern::test {

class RunningMilter {
  public:
    // address: where it listens; empty: on a Unix socket.
    RunningMilter(milter::Negotiation negotiation, milter::Factory factory, std::string const& address = {});

    MilterClient client() const; // a new connection

    TempDir directory;
    TestLog log;
    Metrics metrics;

  private:
    net::ListenAddress address_;
    net::Listener listener_;
    std::uint16_t port_;

  public:
    daemon::MilterServer server;
};

} // namespace postern::test
