// Two ways to hand a listening descriptor to libmilter.
#include "common/milter/listening.h"

#include "common/base/text.h"

#include <fcntl.h>
#include <libmilter/mfapi.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <set>
#include <string>

namespace postern::milter {

namespace {

struct Name {
    sockaddr_storage storage{};
    socklen_t size = sizeof(sockaddr_storage);

    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }
};

Result<Name> name_of(int descriptor) {
    Name name;
    if (getsockname(descriptor, name.get(), &name.size) != 0) return system_error("getsockname", errno);
    return name;
}

bool is_listening(int descriptor) {
    int value = 0;
    socklen_t size = sizeof value;
    return getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value != 0;
}

// The process's listening sockets of a family.
std::set<int> listening_descriptors(int family) {
    std::set<int> found;
    std::error_code ignored;
    for (auto const& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
        auto const number = parse_number<int>(entry.path().filename().native());
        if (!number || !is_listening(*number)) continue;
        if (auto const name = name_of(*number); name && name->family() == family) found.insert(*number);
    }
    return found;
}

// libmilter keeps the text: it must stay for the life of the process.
Result<> open_connection(std::string const& connection) {
    static auto& kept = *new std::string; // and for its threads at exit
    kept = connection;
    if (smfi_setconn(kept.data()) != MI_SUCCESS || smfi_opensocket(false) != MI_SUCCESS)
        return permanent("libmilter does not take the socket " + connection);
    return {};
}

Result<> replace_private_socket(int descriptor, int family, std::string const& connection) {
    auto const before = listening_descriptors(family);
    if (auto opened = open_connection(connection); !opened) return opened;
    for (int const made : listening_descriptors(family)) {
        if (before.contains(made)) continue;
        if (dup3(descriptor, made, O_CLOEXEC) < 0) return system_error("dup3", errno);
        return {};
    }
    return permanent("libmilter's own socket was not found");
}

Result<> hand_over_by_replacement(int descriptor) {
    auto const name = name_of(descriptor);
    if (!name) return std::unexpected(name.error());
    if (name->family() == AF_INET) return replace_private_socket(descriptor, AF_INET, "inet:0@127.0.0.1");
    if (name->family() == AF_INET6) return replace_private_socket(descriptor, AF_INET6, "inet6:0@::1");
    char directory[] = "/tmp/postern-milter.XXXXXX";
    if (mkdtemp(directory) == nullptr) return system_error("mkdtemp", errno);
    auto const path = std::string(directory) + "/s";
    auto replaced = replace_private_socket(descriptor, AF_UNIX, "local:" + path);
    unlink(path.c_str());
    rmdir(directory);
    return replaced;
}

} // namespace

void answer_without_delay(int listener) {
    int const on = 1;
    setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Result<> hand_over_listener(int descriptor, HandOver way) {
    if (!is_listening(descriptor)) return permanent("the descriptor is not a listening socket");
    answer_without_delay(descriptor);
    if (way != HandOver::by_replacement) {
        // libmilter closes the one it is given.
        int const given = fcntl(descriptor, F_DUPFD_CLOEXEC, 3);
        if (given < 0) return system_error("dup", errno);
        auto done = open_connection("fd:" + std::to_string(given));
        if (!done) close(given);
        if (done || way == HandOver::by_number) return done;
    }
    return hand_over_by_replacement(descriptor);
}

bool wake_listener(int descriptor) {
    auto name = name_of(descriptor);
    if (!name) return false;
    int const client = socket(name->family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client < 0) return false;
    // The wildcard address connects to this machine.
    bool const connected = connect(client, name->get(), name->size) == 0 || errno == EINPROGRESS;
    close(client);
    return connected;
}

} // namespace postern::milter
