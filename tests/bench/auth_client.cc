// Logs in on Dovecot auth sockets as fast as they answer, many at a time, from one thread; and tells what
// crypt(3) alone reaches.
#include <crypt.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

[[noreturn]] void fail(std::string const& what) { throw std::runtime_error(what); }

double seconds_since(Clock::time_point begun) {
    return std::chrono::duration<double>(Clock::now() - begun).count();
}

std::string base64(std::string_view octets) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string text;
    for (std::size_t at = 0; at < octets.size(); at += 3) {
        auto const byte = [&](std::size_t i) -> unsigned {
            return at + i < octets.size() ? static_cast<unsigned char>(octets[at + i]) : 0U;
        };
        auto const bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for (unsigned i = 0; i < 4; ++i)
            text += at + i <= octets.size() ? letters[bits >> (18 - 6 * i) & 63] : '=';
    }
    return text;
}

struct Work {
    int logins, connections, window, users;
    std::string password, parameters, wanted;
};

// What follows the id in each user's AUTH line.
std::vector<std::string> requests(Work const& work) {
    std::vector<std::string> all;
    for (int i = 0; i < work.users; ++i) {
        auto const user = "user" + std::to_string(i) + "@example.com";
        all.push_back("\tPLAIN\tservice=smtp\tno-penalty\t" + work.parameters +
                      "\tresp=" + base64(std::string(1, '\0') + user + '\0' + work.password) + "\n");
    }
    return all;
}

class Connection {
  public:
    explicit Connection(std::string const& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) fail("connect " + path);
        send("VERSION\t1\t1\nCPID\t" + std::to_string(++process_id_) + "\n");
        while (!in_.contains("\nDONE\n")) receive();
        in_.clear();
    }
    ~Connection() { ::close(socket_); }
    Connection(Connection const&) = delete;
    Connection& operator=(Connection const&) = delete;

    int descriptor() const { return socket_; }
    void ask(std::vector<std::string> const& all, int& left, int count) {
        std::string lines;
        for (; count > 0 && left > 0; --count, --left)
            lines.append("AUTH\t")
                .append(std::to_string(++id_))
                .append(all[static_cast<std::size_t>(left) % all.size()]);
        send(lines);
    }
    // How many answers have come; each must begin with this word.
    int answers(std::string const& wanted) {
        receive();
        int count = 0;
        std::size_t at = 0;
        for (auto end = in_.find('\n'); end != std::string::npos; end = in_.find('\n', at), ++count) {
            if (in_.compare(at, wanted.size(), wanted) != 0) fail("answered " + in_.substr(at, end - at));
            at = end + 1;
        }
        in_.erase(0, at);
        return count;
    }

  private:
    void send(std::string_view text) {
        while (!text.empty()) {
            auto const sent = ::send(socket_, text.data(), text.size(), MSG_NOSIGNAL);
            if (sent <= 0) fail("send");
            text.remove_prefix(static_cast<std::size_t>(sent));
        }
    }
    void receive() {
        std::array<char, 16384> piece;
        auto const got = ::recv(socket_, piece.data(), piece.size(), 0);
        if (got <= 0) fail("the server went away");
        in_.append(piece.data(), static_cast<std::size_t>(got));
    }

    static inline int process_id_ = 0;
    int socket_;
    int id_ = 0;
    std::string in_;
};

// NAME=PID,PID...:SOCKET; the processes whose time is counted.
struct Target {
    std::string name, path;
    std::vector<clockid_t> clocks;
};

Target read_target(std::string const& text) {
    auto const equals = text.find('=');
    auto const colon = text.find(':', equals);
    if (colon == std::string::npos) fail("NAME=PID,PID...:SOCKET is wanted: " + text);
    Target target{text.substr(0, equals), text.substr(colon + 1), {}};
    for (auto at = equals; at < colon; at = text.find_first_of(",:", at + 1)) {
        auto const pid = static_cast<pid_t>(std::atoi(text.c_str() + at + 1));
        if (clock_getcpuclockid(pid, &target.clocks.emplace_back()) != 0)
            fail("no process " + std::to_string(pid));
    }
    return target;
}

double cpu_seconds(Target const& target) {
    double sum = 0;
    for (auto const clock : target.clocks) {
        timespec now{};
        if (clock_gettime(clock, &now) != 0) fail("a process has gone");
        sum += static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
    }
    return sum;
}

double log_in(std::string const& path, Work const& work) {
    auto const all = requests(work);
    std::vector<std::unique_ptr<Connection>> connections;
    for (int i = 0; i < work.connections; ++i) connections.push_back(std::make_unique<Connection>(path));
    int const poller = ::epoll_create1(0);
    for (auto const& each : connections) {
        epoll_event event{EPOLLIN, {.ptr = each.get()}};
        if (::epoll_ctl(poller, EPOLL_CTL_ADD, each->descriptor(), &event) != 0) fail("epoll_ctl");
    }
    std::array<epoll_event, 64> events;
    int left = work.logins, answered = 0;
    auto const begun = Clock::now();
    for (auto const& each : connections) each->ask(all, left, work.window);
    while (answered < work.logins) {
        int const ready = ::epoll_wait(poller, events.data(), events.size(), 30'000);
        if (ready <= 0) fail("no answer for 30 s from " + path);
        for (int i = 0; i < ready; ++i) {
            auto& connection = *static_cast<Connection*>(events[static_cast<std::size_t>(i)].data.ptr);
            auto const count = connection.answers(work.wanted);
            answered += count;
            connection.ask(all, left, count);
        }
    }
    ::close(poller);
    return seconds_since(begun);
}

// Hashes a second of that many threads, each with its own crypt_data.
void crypt_alone(char const* hash, int threads, double seconds) {
    std::atomic<int> count{0};
    auto const begun = Clock::now();
    auto const work = [&] {
        auto const data = std::make_unique<crypt_data>();
        for (; seconds_since(begun) < seconds; ++count)
            if (auto const* made = crypt_r("secret", hash, data.get());
                made == nullptr || std::strcmp(made, hash) != 0)
                std::abort();
    };
    std::vector<std::thread> all;
    for (int i = 0; i < threads; ++i) all.emplace_back(work);
    for (auto& each : all) each.join();
    std::printf("crypt %d %.6f\n", count.load(), seconds_since(begun));
}

constexpr char const* usage =
    "auth-client LOGINS CONNECTIONS WINDOW USERS PASSWORD PARAMETERS OK|FAIL ROUNDS "
    "NAME=PID,PID...:SOCKET...\n"
    "Logs user0@example.com, user1@example.com ... in with PLAIN, WINDOW at a time on each connection.\n"
    "A line for each server and round: NAME LOGINS WALL-SECONDS CPU-SECONDS\n"
    "auth-client crypt HASH THREADS SECONDS\n";

} // namespace

int main(int count, char** words) try {
    if (count == 5 && std::string_view(words[1]) == "crypt")
        return crypt_alone(words[2], std::atoi(words[3]), std::atof(words[4])), 0;
    if (count < 10) return std::fputs(usage, stderr), 64;
    Work const work{std::atoi(words[1]),
                    std::atoi(words[2]),
                    std::atoi(words[3]),
                    std::atoi(words[4]),
                    words[5],
                    words[6],
                    words[7]};
    for (int round = 0; round < std::atoi(words[8]); ++round)
        for (int i = 9; i < count; ++i) {
            auto const target = read_target(words[i]);
            auto const cpu = cpu_seconds(target);
            auto const took = log_in(target.path, work);
            std::printf("%s %d %.6f %.6f\n", target.name.c_str(), work.logins, took,
                        cpu_seconds(target) - cpu);
            std::fflush(stdout);
        }
    return 0;
} catch (std::exception const& failure) {
    return std::fprintf(stderr, "auth-client: %s\n", failure.what()), 1;
}
