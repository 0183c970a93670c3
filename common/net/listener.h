// Sockets that wait for connections: made by ourselves or passed by systemd.
#pragma once

#include "common/base/error.h"
#include "common/net/address.h"
#include "common/net/descriptor.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

namespace postern::net {

class Listener {
  public:
    // Binds and listens. A stale Unix socket (nobody answers) is replaced; a live one, and a path that is not
    // a socket, are refused. The mode is set before anybody can connect; owner and group after.
    static Result<Listener> open(ListenAddress const& address);
    // Takes over a socket that is listening already.
    static Result<Listener> adopt(Descriptor fd, Address address);

    Listener(Listener&&) noexcept = default;
    Listener& operator=(Listener&&) = delete;
    ~Listener() { close(); }
    // From now on connecting is refused, and the path of a socket that open() made is gone, if it is still
    // ours.
    void close();

    // The next connection, which does not block; none: nobody waits. An error: out of descriptors or memory.
    Result<Descriptor> accept(sockaddr_storage& remote) const;

    int descriptor() const { return fd_.get(); }
    Address const& address() const { return address_; }
    // The port in use, also when port 0 was asked for.
    std::uint16_t port() const;

  private:
    Listener(Descriptor fd, Address address) : fd_(std::move(fd)), address_(std::move(address)) {}
    Descriptor fd_;
    Address address_;
    bool unlinks_ = false;
    std::uint64_t device_ = 0;
    std::uint64_t inode_ = 0;
};

// Sockets passed by systemd (sd_listen_fds(3)): LISTEN_PID, LISTEN_FDS, LISTEN_FDNAMES. Taken once at start,
// by name; unnamed ones are called "unknown". The variables are removed from the environment.
class SystemdSockets {
  public:
    static SystemdSockets take();
    // The first socket of that name that was not taken yet.
    std::optional<Descriptor> claim(std::string_view name);
    bool empty() const { return sockets_.empty(); }

  private:
    std::vector<std::pair<std::string, Descriptor>> sockets_;
};

} // namespace postern::net
