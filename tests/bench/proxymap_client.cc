// Plays many Postfix processes that ask proxymap services in turn, and tells lookups a second and latencies.
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;
using namespace std::string_view_literals;

[[noreturn]] void fail(std::string const& what) { throw std::runtime_error(what); }

// One client as Postfix's dict_proxy: a request at a time, the next when the reply is whole.
struct Client {
    int fd = -1;
    std::string reply;
    std::size_t request = 0;
    Clock::time_point asked;
};

struct Load {
    std::vector<std::string> requests;
    std::size_t lookups;
    std::size_t clients;
};

struct Outcome {
    std::vector<double> microseconds;
    std::map<std::string, std::size_t> statuses;
    double seconds = 0;
};

std::string request(std::string_view what, std::string_view table, std::string_view more = {}) {
    std::string out("request\0"sv);
    out.append(what)
        .append("\0table\0"sv)
        .append(table)
        .append("\0flags\0"
                "64\0"sv)
        .append(more);
    return out + '\0';
}

Load read_load(char const* table, char const* keys, std::size_t lookups, std::size_t clients) {
    Load load{{}, lookups, clients};
    std::ifstream in(keys);
    for (std::string key; std::getline(in, key);)
        load.requests.push_back(request("lookup", table, std::string("key\0"sv) + key + '\0'));
    if (load.requests.empty()) fail("no keys");
    return load;
}

void send_all(int fd, std::string_view bytes) {
    if (::write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) fail("write");
}

std::string receive(int fd) {
    std::array<char, 4096> buffer{};
    auto const size = ::read(fd, buffer.data(), buffer.size());
    if (size <= 0) fail("the service hung up");
    return {buffer.data(), static_cast<std::size_t>(size)};
}

// Connects, waits for the greeting and opens the table, before the clock runs.
Client connect_one(std::string const& path, std::string const& table) {
    Client client;
    client.fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
    if (::connect(client.fd, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) fail("connect " + path);
    std::string got;
    while (!got.ends_with("\0\0"sv)) got += receive(client.fd);
    send_all(client.fd, request("open", table));
    got.clear();
    while (!got.ends_with("\0\0"sv)) got += receive(client.fd);
    if (!got.starts_with("status\0"
                         "0\0"sv))
        fail("the table cannot be opened");
    ::fcntl(client.fd, F_SETFL, O_NONBLOCK);
    return client;
}

// "status N value V" and an empty name: four strings and the end.
bool whole(std::string const& reply) { return std::ranges::count(reply, '\0') >= 5; }

Outcome run(std::string const& path, std::string const& table, Load const& load) {
    std::vector<Client> clients;
    int const poller = ::epoll_create1(0);
    for (std::size_t i = 0; i < load.clients; ++i) {
        clients.push_back(connect_one(path, table));
        epoll_event event{EPOLLIN, {.u64 = i}};
        ::epoll_ctl(poller, EPOLL_CTL_ADD, clients[i].fd, &event);
    }
    Outcome out;
    out.microseconds.reserve(load.lookups);
    std::size_t sent = 0;
    auto const ask = [&](Client& client) {
        if (sent == load.lookups) return;
        client.request = sent++ % load.requests.size();
        client.reply.clear();
        client.asked = Clock::now();
        send_all(client.fd, load.requests[client.request]);
    };
    auto const begun = Clock::now();
    for (auto& client : clients) ask(client);
    std::array<epoll_event, 64> events{};
    while (out.microseconds.size() < std::min(sent, load.lookups)) {
        int const count = ::epoll_wait(poller, events.data(), events.size(), 30'000);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) fail("no reply for 30 s");
        for (int i = 0; i < count; ++i) {
            auto& client = clients[events[static_cast<std::size_t>(i)].data.u64];
            client.reply += receive(client.fd);
            if (!whole(client.reply)) continue;
            std::chrono::duration<double, std::micro> const took = Clock::now() - client.asked;
            out.microseconds.push_back(took.count());
            ++out.statuses[client.reply.substr(7, 1)];
            ask(client);
        }
    }
    out.seconds = std::chrono::duration<double>(Clock::now() - begun).count();
    for (auto const& client : clients) ::close(client.fd);
    ::close(poller);
    return out;
}

void tell(std::string_view name, Outcome& outcome) {
    std::ranges::sort(outcome.microseconds);
    auto const at = [&](std::size_t percent) {
        return outcome.microseconds[(outcome.microseconds.size() - 1) * percent / 100];
    };
    std::printf("%.*s %.1f %.1f %.1f", static_cast<int>(name.size()), name.data(),
                static_cast<double>(outcome.microseconds.size()) / outcome.seconds, at(50), at(99));
    for (auto const& [status, count] : outcome.statuses) std::printf(" %s:%zu", status.c_str(), count);
    std::printf("\n");
    std::fflush(stdout);
}

} // namespace

// proxymap-client TABLE KEYS-FILE LOOKUPS CLIENTS ROUNDS NAME=SOCKET...
// Lines "NAME lookups-a-second p50-us p99-us STATUS:COUNT...", one a round and service.
int main(int argc, char** argv) try {
    if (argc < 7) fail("proxymap-client TABLE KEYS-FILE LOOKUPS CLIENTS ROUNDS NAME=SOCKET...");
    auto const load =
        read_load(argv[1], argv[2], std::strtoul(argv[3], nullptr, 10), std::strtoul(argv[4], nullptr, 10));
    for (auto round = std::strtoul(argv[5], nullptr, 10); round > 0; --round)
        for (int i = 6; i < argc; ++i) {
            std::string_view const target = argv[i];
            auto const equals = target.find('=');
            auto outcome = run(std::string(target.substr(equals + 1)), argv[1], load);
            tell(target.substr(0, equals), outcome);
        }
    return 0;
} catch (std::exception const& failure) {
    std::fprintf(stderr, "proxymap-client: %s\n", failure.what());
    return 1;
}
