// Binding, replacing what is stale, and what systemd passed.
#include "common/net/listener.h"

#include "common/base/text.h"
#include "common/net/stream.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pwd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>

namespace postern::net {

namespace {

constexpr int backlog = 511; // Postfix opens hundreds of connections in a burst

std::unexpected<Error> failed(Address const& address, std::string_view what, int error_number) {
    return system_error(fmt::format("{}: {}", address.to_string(), what), error_number, ErrorKind::permanent);
}

// A path where somebody answers is in use; one where nobody does is left over and removed.
Result<> clear_stale(Address const& address) {
    struct stat status {};
    if (::lstat(address.path.c_str(), &status) != 0)
        return errno == ENOENT ? Result<>() : Result<>(failed(address, "stat", errno));
    if (!S_ISSOCK(status.st_mode))
        return permanent(fmt::format("{}: exists and is not a socket; remove it or choose another path",
                                     address.to_string()));
    auto const answered = connect(address, Deadline::after(std::chrono::milliseconds(500)));
    if (answered)
        return permanent(
            fmt::format("{}: another process listens there; stop it first", address.to_string()));
    if (::unlink(address.path.c_str()) != 0 && errno != ENOENT)
        return failed(address, "remove the stale socket", errno);
    return {};
}

std::optional<uid_t> user_id(std::string const& name) {
    if (auto const number = parse_number<uid_t>(name)) return number;
    std::array<char, 16384> buffer;
    passwd entry{};
    passwd* found = nullptr;
    if (::getpwnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return std::nullopt;
    return entry.pw_uid;
}

std::optional<gid_t> group_id(std::string const& name) {
    if (auto const number = parse_number<gid_t>(name)) return number;
    std::array<char, 65536> buffer;
    group entry{};
    group* found = nullptr;
    if (::getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return std::nullopt;
    return entry.gr_gid;
}

Result<> give_to(ListenAddress const& listen) {
    if (listen.owner.empty() && listen.group.empty()) return {};
    auto const uid = listen.owner.empty() ? std::optional(static_cast<uid_t>(-1)) : user_id(listen.owner);
    auto const gid = listen.group.empty() ? std::optional(static_cast<gid_t>(-1)) : group_id(listen.group);
    if (!uid) return permanent(fmt::format("{}: no user \"{}\"", listen.address.to_string(), listen.owner));
    if (!gid) return permanent(fmt::format("{}: no group \"{}\"", listen.address.to_string(), listen.group));
    if (::lchown(listen.address.path.c_str(), *uid, *gid) != 0)
        return failed(listen.address,
                      fmt::format("give to owner \"{}\" group \"{}\"", listen.owner, listen.group), errno);
    return {};
}

Result<Descriptor> bind_unix(ListenAddress const& listen) {
    auto const& address = listen.address;
    if (auto clear = clear_stale(address); !clear) return std::unexpected(clear.error());
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (address.path.size() >= sizeof name.sun_path) return failed(address, "path", ENAMETOOLONG);
    std::memcpy(name.sun_path, address.path.data(), address.path.size());
    Descriptor fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return failed(address, "socket", errno);
    // fchmod before bind(2) gives the path its mode from the first moment on, whatever the umask's thread
    // races do; the kernel still takes the umask off, so the wanted mode is set again, before listen(2) lets
    // anybody in.
    if (listen.mode) ::fchmod(fd.get(), *listen.mode);
    if (::bind(fd.get(), reinterpret_cast<sockaddr const*>(&name), sizeof name) != 0)
        return failed(address, "bind (does the directory exist, and may this user write to it?)", errno);
    if (listen.mode && ::chmod(address.path.c_str(), *listen.mode) != 0)
        return failed(address, "chmod", errno);
    if (auto given = give_to(listen); !given) {
        ::unlink(address.path.c_str());
        return std::unexpected(given.error());
    }
    return fd;
}

struct AddressListDeleter {
    void operator()(addrinfo* list) const { ::freeaddrinfo(list); }
};

Result<Descriptor> bind_inet(Address const& address) {
    addrinfo hints{};
    hints.ai_family = address.kind == Address::Kind::inet6 ? AF_INET6 : AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    auto const port = std::to_string(address.port);
    char const* host = address.host.empty() || address.host == "*" ? nullptr : address.host.c_str();
    if (int const error = ::getaddrinfo(host, port.c_str(), &hints, &found); error != 0)
        return permanent(fmt::format("{}: {}", address.to_string(), ::gai_strerror(error)));
    std::unique_ptr<addrinfo, AddressListDeleter> const list(found);
    Descriptor fd(::socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return failed(address, "socket", errno);
    int const on = 1;
    ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (::bind(fd.get(), list->ai_addr, list->ai_addrlen) != 0) return failed(address, "bind", errno);
    return fd;
}

std::string take_variable(char const* name) {
    char const* value = std::getenv(name);
    std::string text = value == nullptr ? "" : value;
    ::unsetenv(name);
    return text;
}

} // namespace

Result<Listener> Listener::open(ListenAddress const& listen) {
    auto const& address = listen.address;
    if (address.kind == Address::Kind::systemd)
        return permanent(
            fmt::format("{}: the service manager passed no socket of this name", address.to_string()));
    bool const is_unix = address.kind == Address::Kind::unix_socket;
    auto fd = is_unix ? bind_unix(listen) : bind_inet(address);
    if (!fd) return std::unexpected(fd.error());
    if (::listen(fd->get(), backlog) != 0) return failed(address, "listen", errno);
    Listener listener(std::move(*fd), address);
    if (is_unix) {
        struct stat status {};
        if (::lstat(address.path.c_str(), &status) == 0) {
            listener.device_ = status.st_dev;
            listener.inode_ = status.st_ino;
            listener.unlinks_ = true;
        }
    }
    return listener;
}

Result<Listener> Listener::adopt(Descriptor fd, Address address) {
    int listening = 0;
    socklen_t size = sizeof listening;
    if (::getsockopt(fd.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
        return failed(address, "the passed descriptor is not a socket", errno);
    if (listening == 0)
        return permanent(fmt::format("{}: the passed socket does not listen", address.to_string()));
    ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK);
    ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC);
    return Listener(std::move(fd), std::move(address));
}

Result<Descriptor> Listener::accept(sockaddr_storage& remote) const {
    socklen_t size = sizeof remote;
    Descriptor fd(
        ::accept4(fd_.get(), reinterpret_cast<sockaddr*>(&remote), &size, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        return system_error("accept", errno);
    return fd;
}

void Listener::close() {
    bool const made_path = fd_ && unlinks_;
    fd_.reset();
    if (!made_path) return;
    struct stat status {};
    bool const ours =
        ::lstat(address_.path.c_str(), &status) == 0 && status.st_dev == device_ && status.st_ino == inode_;
    if (ours) ::unlink(address_.path.c_str());
}

std::uint16_t Listener::port() const {
    sockaddr_storage name{};
    socklen_t size = sizeof name;
    if (::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
    if (name.ss_family == AF_INET) return ntohs(reinterpret_cast<sockaddr_in const&>(name).sin_port);
    if (name.ss_family == AF_INET6) return ntohs(reinterpret_cast<sockaddr_in6 const&>(name).sin6_port);
    return 0;
}

SystemdSockets SystemdSockets::take() {
    constexpr int first = 3;         // SD_LISTEN_FDS_START
    constexpr int max_sockets = 256; // more than that is a broken environment
    auto const pid = parse_number<pid_t>(take_variable("LISTEN_PID"));
    auto const count = parse_number<int>(take_variable("LISTEN_FDS"));
    auto const names = take_variable("LISTEN_FDNAMES");
    SystemdSockets taken;
    if (pid != ::getpid() || !count || *count < 0 || *count > max_sockets) return taken;
    auto const words = split(names, ':');
    for (int i = 0; i < *count; ++i) {
        auto const at = static_cast<std::size_t>(i);
        auto const name = names.empty() || at >= words.size() ? std::string_view("unknown") : words[at];
        taken.sockets_.emplace_back(name, Descriptor(first + i));
        ::fcntl(first + i, F_SETFD, FD_CLOEXEC);
    }
    return taken;
}

std::optional<Descriptor> SystemdSockets::claim(std::string_view name) {
    for (auto it = sockets_.begin(); it != sockets_.end(); ++it) {
        if (it->first != name) continue;
        Descriptor fd = std::move(it->second);
        sockets_.erase(it);
        return fd;
    }
    return std::nullopt;
}

} // namespace postern::net
