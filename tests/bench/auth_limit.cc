// Answers every login at once with OK, from one thread: what auth-client reaches when the server costs
// nothing.
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

namespace {

constexpr std::string_view greeting = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t"
                                      "00112233445566778899aabbccddeeff\nDONE\n";

int listener(char const* path) {
    int const socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    if (std::strlen(path) >= sizeof name.sun_path) throw std::runtime_error("the path is too long");
    std::strcpy(name.sun_path, path);
    if (::bind(socket, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0 || ::listen(socket, 100) != 0)
        throw std::runtime_error("cannot listen");
    return socket;
}

void watch(int poller, int fd) {
    epoll_event event{EPOLLIN, {.fd = fd}};
    if (::epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event) != 0) throw std::runtime_error("epoll_ctl");
}

void say(int fd, std::string_view text) { // a client that has gone is seen by the next recv()
    [[maybe_unused]] auto const sent = ::send(fd, text.data(), text.size(), MSG_NOSIGNAL);
}

// The answers to the whole lines in what came; the rest is kept.
std::string answers(std::string& in) {
    std::string out;
    std::size_t at = 0;
    for (auto end = in.find('\n'); end != std::string::npos; at = end + 1, end = in.find('\n', at)) {
        std::string_view line(in.data() + at, end - at);
        if (!line.starts_with("AUTH\t")) continue;
        line.remove_prefix(5);
        out.append("OK\t").append(line.substr(0, line.find('\t'))).append("\tuser=user0@example.com\n");
    }
    in.erase(0, at);
    return out;
}

void serve(int door) {
    int const poller = ::epoll_create1(0);
    watch(poller, door);
    std::map<int, std::string> clients;
    std::array<epoll_event, 64> events;
    std::array<char, 16384> piece;
    while (true) {
        int const count = ::epoll_wait(poller, events.data(), events.size(), -1);
        for (int i = 0; i < count; ++i) {
            int const fd = events[static_cast<std::size_t>(i)].data.fd;
            if (fd == door) {
                int const fresh = ::accept(door, nullptr, nullptr);
                watch(poller, fresh);
                say(fresh, greeting);
                continue;
            }
            auto const got = ::recv(fd, piece.data(), piece.size(), 0);
            if (got <= 0) {
                clients.erase(fd);
                ::close(fd);
                continue;
            }
            auto& in = clients[fd].append(piece.data(), static_cast<std::size_t>(got));
            if (auto const text = answers(in); !text.empty()) say(fd, text);
        }
    }
}

} // namespace

int main(int count, char** words) try {
    if (count != 2) return std::fputs("auth-limit SOCKET\n", stderr), 64;
    int const door = listener(words[1]);
    std::puts("ready");
    std::fflush(stdout);
    serve(door);
    return 0;
} catch (std::exception const& failure) {
    return std::fprintf(stderr, "auth-limit: %s\n", failure.what()), 1;
}
