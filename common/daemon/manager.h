// sd_notify(3) without libsystemd: one datagram a message to $NOTIFY_SOCKET, if it is set.
#pragma once

#include "common/net/descriptor.h"

#include <string_view>

namespace postern::daemon {

class Manager {
  public:
    // Finds the socket now: after chroot(2) its path leads nowhere.
    Manager();
    // state: "READY=1\nSTATUS=...". The manager may be gone; the daemon goes on without it.
    void tell(std::string_view state) const;

  private:
    net::Descriptor socket_;
};

} // namespace postern::daemon
