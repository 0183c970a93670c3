// Plays Postfix's side of the milter protocol against two or more milters in turn, and tells their speed and
// CPU time.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace {

// Postfix 3.7 with milter_protocol = 6 offers every action and every step.
constexpr std::uint32_t all_actions = 0x1ff;
constexpr std::uint32_t all_steps = 0x1fffff;
constexpr std::uint32_t no_helo = 0x02, no_data = 0x200, skip_known = 0x400, no_reply_header = 0x80,
                        no_reply_connect = 0x1000, no_reply_helo = 0x2000, no_reply_mail = 0x4000,
                        no_reply_recipient = 0x8000, no_reply_data = 0x10000, no_reply_eoh = 0x40000,
                        no_reply_body = 0x80000, leading_space = 0x100000;
constexpr std::size_t chunk_size = 65535;

struct Message {
    std::vector<std::pair<std::string, std::string>> fields;
    std::string body;
};

[[noreturn]] void fail(std::string const& what) { throw std::runtime_error(what); }

// Lines end with CRLF in the file; a milter sees LF inside fields.
Message read_message(char const* path) {
    std::ifstream in(path, std::ios::binary);
    std::string const text((std::istreambuf_iterator<char>(in)), {});
    auto const end = text.find("\r\n\r\n");
    if (!in || end == std::string::npos) fail(std::string("no message in ") + path);
    Message message;
    message.body = text.substr(end + 4);
    std::size_t at = 0;
    while (at < end) {
        auto stop = text.find("\r\n", at);
        while (stop < end && (text[stop + 2] == ' ' || text[stop + 2] == '\t'))
            stop = text.find("\r\n", stop + 2);
        auto const colon = text.find(':', at);
        std::string value;
        for (char const c : text.substr(colon + 1, stop - colon - 1))
            if (c != '\r') value += c;
        message.fields.emplace_back(text.substr(at, colon - at), value);
        at = stop + 2;
    }
    return message;
}

std::string number(std::uint32_t value) {
    value = htonl(value);
    return {reinterpret_cast<char const*>(&value), 4};
}

class Connection {
  public:
    explicit Connection(std::string const& path) : socket_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
        if (::connect(socket_, reinterpret_cast<sockaddr*>(&name), sizeof name) != 0) fail("connect " + path);
        command('O', number(6) + number(all_actions) + number(all_steps));
        auto const [kind, data] = receive();
        if (kind != 'O' || data.size() < 12) fail("negotiation");
        std::uint32_t steps = 0;
        std::memcpy(&steps, data.data() + 8, 4);
        steps_ = ntohl(steps);
        macros('C', {"j", "mx.example.com", "{daemon_name}", "mx.example.com", "v", "Postfix 3.7.11"});
        step('C', std::string("client.example.org\0", 19) + "4" + std::string("\x9c\x40", 2) + client_ + '\0',
             no_reply_connect);
        if ((steps_ & no_helo) == 0) step('H', std::string("client.example.org\0", 19), no_reply_helo);
    }
    ~Connection() {
        command('Q', {});
        flush();
        ::close(socket_);
    }
    Connection(Connection const&) = delete;
    Connection& operator=(Connection const&) = delete;

    // Whether a field of that name was inserted whose value holds the text.
    bool send(Message const& message, std::string_view field, std::string_view text) {
        macros('M', {"{mail_addr}", "a@example.com"});
        step('M', std::string("<a@example.com>\0SIZE=1\0", 23), no_reply_mail);
        macros('R', {"i", "4ABCDEF", "{rcpt_addr}", "b@example.net"});
        step('R', std::string("<b@example.net>\0", 16), no_reply_recipient);
        if ((steps_ & no_data) == 0) step('T', {}, no_reply_data);
        for (auto const& [name, value] : message.fields) {
            auto const from = (steps_ & leading_space) == 0 && value.starts_with(' ') ? 1U : 0U;
            step('L', name + '\0' + value.substr(from) + '\0', no_reply_header);
        }
        macros('N', {"i", "4ABCDEF"});
        step('N', {}, no_reply_eoh);
        for (std::size_t at = 0; at < message.body.size(); at += chunk_size) {
            command('B', std::string_view(message.body).substr(at, chunk_size));
            if ((steps_ & no_reply_body) == 0 && receive().first == 's') break;
        }
        macros('E', {"i", "4ABCDEF"});
        command('E', {});
        bool found = false;
        for (;;) {
            auto const [kind, data] = receive();
            if (kind == 'i')
                found = found || (data.find(field, 4) == 4 && data.contains(text));
            else if (kind == 'a' || kind == 'c')
                return found;
            else if (kind != 'p' && kind != 'm')
                fail(std::string("end of message answered with ") + kind + " " + data);
        }
    }

    static void come_from(std::string address) { client_ = std::move(address); }

  private:
    void command(char kind, std::string_view data) {
        out_ += number(static_cast<std::uint32_t>(data.size() + 1));
        out_ += kind;
        out_ += data;
    }
    void macros(char stage, std::initializer_list<std::string_view> words) {
        std::string data(1, stage);
        for (auto const word : words) {
            data += word;
            data += '\0';
        }
        command('D', data);
    }
    void step(char kind, std::string const& data, std::uint32_t no_reply) {
        command(kind, data);
        if ((steps_ & no_reply) != 0) return;
        if (auto const answer = receive(); answer.first != 'c')
            fail(std::string(1, kind) + " answered with " + answer.first + " " + answer.second);
    }
    void flush() {
        std::string_view left = out_;
        while (!left.empty()) {
            auto const sent = ::send(socket_, left.data(), left.size(), MSG_NOSIGNAL);
            if (sent <= 0) fail("send");
            left.remove_prefix(static_cast<std::size_t>(sent));
        }
        out_.clear();
    }
    void fill(std::size_t octets) {
        while (in_.size() < octets) {
            std::array<char, 4096> piece;
            auto const got = ::recv(socket_, piece.data(), piece.size(), 0);
            if (got <= 0) fail("the milter went away");
            in_.append(piece.data(), static_cast<std::size_t>(got));
        }
    }
    std::pair<char, std::string> receive() {
        flush();
        fill(4);
        std::uint32_t size = 0;
        std::memcpy(&size, in_.data(), 4);
        size = ntohl(size);
        fill(4 + size);
        std::pair<char, std::string> answer(in_[4], in_.substr(5, size - 1));
        in_.erase(0, 4 + size);
        return answer;
    }

    static inline std::string client_ = "127.0.0.1";
    int socket_;
    std::uint32_t steps_ = 0;
    std::string out_;
    std::string in_;
};

struct Target {
    std::string name;
    std::string path;
    pid_t pid;
};

// NAME=PID:PATH
Target read_target(std::string const& text) {
    auto const equals = text.find('=');
    auto const colon = text.find(':', equals);
    if (colon == std::string::npos) fail("NAME=PID:PATH is wanted: " + text);
    return {text.substr(0, equals), text.substr(colon + 1), std::atoi(text.c_str() + equals + 1)};
}

double cpu_seconds(pid_t pid) {
    clockid_t clock = 0;
    timespec now{};
    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &now) != 0) fail("CPU clock");
    return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Work {
    Message message;
    std::string field;
    std::string text;
    int messages;
    int per_connection;
};

void run(Target const& target, Work const& work) {
    for (int done = 0; done < work.messages; done += work.per_connection) {
        Connection connection(target.path);
        for (int i = 0; i < work.per_connection; ++i)
            if (!connection.send(work.message, work.field, work.text))
                fail(target.name + " inserted no " + work.field + " with " + work.text);
    }
}

void measure(Target const& target, Work const& work, int clients) {
    auto const cpu = cpu_seconds(target.pid);
    auto const began = std::chrono::steady_clock::now();
    std::vector<std::thread> threads;
    for (int i = 0; i < clients; ++i) threads.emplace_back([&] { run(target, work); });
    for (auto& each : threads) each.join();
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - began;
    std::printf("%s %d %.6f %.6f\n", target.name.c_str(), work.messages * clients, took.count(),
                cpu_seconds(target.pid) - cpu);
    std::fflush(stdout);
}

constexpr char const* usage =
    "milter-client MESSAGE CLIENT-ADDRESS FIELD TEXT MESSAGES PER-CONNECTION CLIENTS ROUNDS "
    "NAME=PID:SOCKET...\n"
    "Sends MESSAGE (CRLF) so many times to each milter in turn; every answer must insert FIELD with TEXT.\n"
    "A line for each milter and round: NAME MESSAGES WALL-SECONDS CPU-SECONDS\n";

} // namespace

int main(int count, char** words) try {
    if (count < 10) {
        std::fputs(usage, stderr);
        return 64;
    }
    Connection::come_from(words[2]);
    Work const work{read_message(words[1]), words[3], words[4], std::atoi(words[5]), std::atoi(words[6])};
    std::vector<Target> targets;
    for (int i = 9; i < count; ++i) targets.push_back(read_target(words[i]));
    for (int round = 0; round < std::atoi(words[8]); ++round)
        for (auto const& target : targets) measure(target, work, std::atoi(words[7]));
    return 0;
} catch (std::exception const& failure) {
    std::fprintf(stderr, "milter-client: %s\n", failure.what());
    return 1;
}
