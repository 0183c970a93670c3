// What the client of the benchmark and the kernel reach by themselves: a proxymap service that knows no
// database and says "not found" to everything.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <string_view>

namespace {

using namespace std::string_view_literals;

constexpr auto greeting = "protocol\0proxymap_protocol\0\0"sv;
constexpr auto opened = "status\0"
                        "0\0flags\0"
                        "80\0\0"sv;
constexpr auto not_found = "status\0"
                           "1\0value\0\0\0"sv;

bool say(int fd, std::string_view text) { return ::write(fd, text.data(), text.size()) > 0; }

// Requests come whole: the client of this benchmark sends one at a time.
void answer(int fd) {
    std::array<char, 4096> buffer{};
    auto const size = ::read(fd, buffer.data(), buffer.size());
    bool const opens =
        size > 0 &&
        std::string_view(buffer.data(), static_cast<std::size_t>(size)).starts_with("request\0open"sv);
    if (size <= 0 || !say(fd, opens ? opened : not_found)) ::close(fd);
}

void watch(int poller, int fd) {
    epoll_event event{EPOLLIN, {.fd = fd}};
    ::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event);
}

} // namespace

// proxymap-echo SOCKET
int main(int argc, char** argv) {
    sockaddr_un name{};
    if (argc != 2 || std::strlen(argv[1]) >= sizeof name.sun_path) return 64;
    name.sun_family = AF_UNIX;
    std::strcpy(name.sun_path, argv[1]);
    int const listener = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (::bind(listener, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 ||
        ::listen(listener, 1000) != 0) {
        std::perror(argv[1]);
        return 1;
    }
    int const poller = ::epoll_create1(0);
    watch(poller, listener);
    std::array<epoll_event, 64> events{};
    while (true) {
        int const count = ::epoll_wait(poller, events.data(), events.size(), -1);
        for (int i = 0; i < count; ++i) {
            int const fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd != listener) {
                answer(fd);
                continue;
            }
            int const client = ::accept(listener, nullptr, nullptr);
            if (client >= 0 && say(client, greeting)) watch(poller, client);
        }
    }
}
