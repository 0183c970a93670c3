// A milter on its socket: a thread for each connection of an MTA.
#pragma once

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/milter/session.h"
#include "common/net/server.h"

#include <atomic>
#include <chrono>
#include <mutex>

namespace postern::daemon {

class MilterServer {
  public:
    // How long one wait on an MTA may take: libmilter's time.
    static constexpr std::chrono::milliseconds mta_timeout = std::chrono::seconds(7210);

    MilterServer(net::Listener listener, milter::Negotiation negotiation, milter::Factory factory, Log& log,
                 Metrics& metrics);

    void start() { server_.start(); }
    // What is asked of the MTA on connections from now on, after a reload.
    void renegotiate(milter::Negotiation negotiation);
    // No new connections. What runs is answered; a message on its way gets a temporary failure at its next
    // command, and within the grace time it is waited for both. True: no session is left, what they referred
    // to may go. False: one is still at work; the caller must leave with _exit() and destroy nothing that
    // sessions use, this object neither.
    bool stop(std::chrono::milliseconds grace);

  private:
    std::unique_ptr<net::Session> converse();

    milter::Factory factory_;
    Log& log_;
    std::atomic<bool> stopping_{false};
    std::mutex mutex_; // guards negotiation_
    milter::Negotiation negotiation_;
    net::Server server_;
};

} // namespace postern::daemon
