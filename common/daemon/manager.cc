// Connects for each message, or once.
#include "common/daemon/manager.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace postern::daemon {

namespace {

net::Descriptor connected() {
    char const* path = std::getenv("NOTIFY_SOCKET");
    if (path == nullptr || *path == 0) return {};
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::size_t const length = std::strlen(path);
    if (length >= sizeof name.sun_path) return {};
    std::memcpy(name.sun_path, path, length);
    if (name.sun_path[0] == '@') name.sun_path[0] = 0; // the abstract namespace
    net::Descriptor made(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    auto const size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
    if (!made || ::connect(made.get(), reinterpret_cast<sockaddr const*>(&name), size) != 0) return {};
    return made;
}

void send(net::Descriptor const& socket, std::string_view state) {
    if (socket) [[maybe_unused]]
        auto const sent = ::send(socket.get(), state.data(), state.size(), MSG_NOSIGNAL);
}

} // namespace

void Manager::keep() { kept_ = connected(); }

void Manager::tell(std::string_view state) const {
    if (kept_)
        send(kept_, state);
    else
        send(connected(), state);
}

} // namespace postern::daemon
