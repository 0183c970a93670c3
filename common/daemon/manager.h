// sd_notify(3) without libsystemd: one datagram a message to $NOTIFY_SOCKET, if it is set.
#pragma once

#include "common/net/descriptor.h"

#include <string_view>

namespace postern::daemon {

class Manager {
  public:
    // Connects for good, since after chroot(2) the path leads nowhere. Otherwise no child inherits a socket.
    void keep();
    // state: "READY=1\nSTATUS=...". The manager may be gone; the daemon goes on without it.
    void tell(std::string_view state) const;

  private:
    net::Descriptor kept_;
};

} // namespace postern::daemon
