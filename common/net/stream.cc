// Reading, writing and connecting with poll(2) and a deadline.
#include "common/net/stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace postern::net {

namespace {

Result<> wait_for(int fd, short events, Deadline deadline) {
    for (;;) {
        pollfd waiting{fd, events, 0};
        int const ready = ::poll(&waiting, 1, deadline.poll_timeout());
        if (ready > 0) return {};
        if (ready < 0 && errno != EINTR) return system_error("poll", errno);
        if (deadline.expired()) return temporary("timed out");
    }
}

Result<Stream> connect_to(sockaddr const* address, socklen_t length, int family, Deadline deadline) {
    Descriptor fd(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return system_error("socket", errno);
    if (::connect(fd.get(), address, length) != 0) {
        // A Unix socket with a full backlog says EAGAIN at once; the caller may try again, so it is
        // temporary.
        if (errno != EINPROGRESS) return system_error("connect", errno);
        if (auto ready = wait_for(fd.get(), POLLOUT, deadline); !ready) return std::unexpected(ready.error());
        int error = 0;
        socklen_t size = sizeof error;
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &size);
        if (error != 0) return system_error("connect", error);
    }
    if (family != AF_UNIX) {
        int const on = 1;
        ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    return Stream(std::move(fd));
}

Result<Stream> connect_unix(std::string const& path, Deadline deadline) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    if (path.size() >= sizeof address.sun_path) return permanent(fmt::format("{}: path too long", path));
    std::memcpy(address.sun_path, path.data(), path.size());
    return connect_to(reinterpret_cast<sockaddr const*>(&address), sizeof address, AF_UNIX, deadline);
}

struct AddressListDeleter {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<Stream> connect_inet(Address const& address, Deadline deadline) {
    addrinfo hints{};
    hints.ai_family = address.kind == Address::Kind::inet6 ? AF_INET6 : AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;
    auto const host = address.host.empty() ? std::string("localhost") : address.host;
    if (int const error = ::getaddrinfo(host.c_str(), std::to_string(address.port).c_str(), &hints, &found);
        error != 0)
        return temporary(fmt::format("resolve {}: {}", host, ::gai_strerror(error)));
    std::unique_ptr<addrinfo, AddressListDeleter> const list(found);
    Result<Stream> last = temporary(fmt::format("{} has no address", host));
    for (auto const* each = list.get(); each != nullptr; each = each->ai_next) {
        last = connect_to(each->ai_addr, each->ai_addrlen, each->ai_family, deadline);
        if (last || deadline.expired()) break;
    }
    return last;
}

} // namespace

Stream::Stream(Descriptor fd) : fd_(std::move(fd)) {
    ::fcntl(fd_.get(), F_SETFL, ::fcntl(fd_.get(), F_GETFL) | O_NONBLOCK);
}

Result<std::size_t> Stream::read(std::span<char> buffer, Deadline deadline) {
    for (;;) {
        auto const n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        if (n > 0) return static_cast<std::size_t>(n);
        if (n == 0) return closed("the peer closed the connection");
        if (errno == EINTR) continue;
        if (errno == ECONNRESET) return closed("the peer reset the connection");
        if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error("read", errno);
        if (auto ready = wait_for(fd_.get(), POLLIN, deadline); !ready) return std::unexpected(ready.error());
    }
}

Result<> Stream::write(std::string_view bytes, Deadline deadline) {
    while (!bytes.empty()) {
        auto const n = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno == EPIPE || errno == ECONNRESET) return closed("the peer closed the connection");
        if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error("write", errno);
        if (auto ready = wait_for(fd_.get(), POLLOUT, deadline); !ready)
            return std::unexpected(ready.error());
    }
    return {};
}

Result<std::string> Stream::read_line(std::size_t limit, Deadline deadline) {
    for (;;) {
        if (auto const end = buffered_.find('\n'); end != std::string::npos && end <= limit) {
            auto line = buffered_.substr(0, end);
            buffered_.erase(0, end + 1);
            if (line.ends_with('\r')) line.pop_back();
            return line;
        }
        if (buffered_.size() > limit) return malformed(fmt::format("a line of more than {} octets", limit));
        std::array<char, 4096> buffer;
        auto const n = read(buffer, deadline);
        if (!n) return std::unexpected(n.error());
        buffered_.append(buffer.data(), *n);
    }
}

void Stream::shutdown_both() { ::shutdown(fd_.get(), SHUT_RDWR); }

Result<Stream> connect(Address const& address, Deadline deadline) {
    auto stream = [&]() -> Result<Stream> {
        switch (address.kind) {
        case Address::Kind::unix_socket: return connect_unix(address.path, deadline);
        case Address::Kind::inet:
        case Address::Kind::inet6: return connect_inet(address, deadline);
        case Address::Kind::systemd: break;
        }
        return permanent("a socket of the service manager can only be listened on");
    }();
    if (!stream) return std::unexpected(std::move(stream.error()).within(address.to_string()));
    return stream;
}

} // namespace postern::net
