// Packets: four octets of length, a command, data.
#include "tests/unit/support/milter_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>

namespace postern::test {

namespace {

constexpr int wait_milliseconds = 10000;
constexpr std::uint32_t max_packet = 1 << 20;

bool read_exactly(int descriptor, char* to, std::size_t size) {
    while (size > 0) {
        pollfd waiting{descriptor, POLLIN, 0};
        if (poll(&waiting, 1, wait_milliseconds) <= 0) return false;
        auto const got = read(descriptor, to, size);
        if (got <= 0) return false;
        to += got;
        size -= static_cast<std::size_t>(got);
    }
    return true;
}

std::uint32_t number_at(std::string_view data, std::size_t at) {
    std::uint32_t value = 0;
    std::memcpy(&value, data.data() + at, sizeof value);
    return ntohl(value);
}

std::optional<MilterClient> connected(int descriptor, sockaddr const* address, socklen_t size) {
    if (descriptor < 0) return std::nullopt;
    MilterClient client(descriptor);
    if (connect(descriptor, address, size) != 0) return std::nullopt;
    return client;
}

} // namespace

std::string milter_number(std::uint32_t value) {
    auto const ordered = htonl(value);
    return {reinterpret_cast<char const*>(&ordered), sizeof ordered};
}

std::string milter_packet(char command, std::string_view data) {
    return milter_number(static_cast<std::uint32_t>(data.size() + 1)) + command + std::string(data);
}

std::string milter_connect_data(std::string_view host, std::string_view address) {
    auto data = std::string(host) + '\0';
    if (address.empty()) return data + 'U';
    auto const port = htons(25);
    data += address.contains(':') ? '6' : '4';
    data.append(reinterpret_cast<char const*>(&port), sizeof port);
    return data + std::string(address) + '\0';
}

std::optional<MilterClient> MilterClient::connect_unix(std::string const& path) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    return connected(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), reinterpret_cast<sockaddr*>(&name),
                     sizeof name);
}

std::optional<MilterClient> MilterClient::connect_inet(std::uint16_t port) {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(port);
    name.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return connected(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), reinterpret_cast<sockaddr*>(&name),
                     sizeof name);
}

MilterClient::~MilterClient() {
    if (descriptor_ >= 0) close(descriptor_);
}

void MilterClient::send_octets(std::string_view octets) {
    while (!octets.empty()) {
        auto const sent = ::send(descriptor_, octets.data(), octets.size(), MSG_NOSIGNAL);
        if (sent <= 0) return;
        octets.remove_prefix(static_cast<std::size_t>(sent));
    }
}

void MilterClient::send(char command, std::string_view data) { send_octets(milter_packet(command, data)); }

std::optional<MilterReply> MilterClient::receive() {
    std::string head(5, '\0');
    if (!read_exactly(descriptor_, head.data(), head.size())) return std::nullopt;
    auto const size = number_at(head, 0);
    if (size == 0 || size > max_packet) return std::nullopt;
    MilterReply reply{head[4], std::string(size - 1, '\0')};
    if (!read_exactly(descriptor_, reply.data.data(), reply.data.size())) return std::nullopt;
    return reply;
}

std::optional<MilterReply> MilterClient::ask(char command, std::string_view data) {
    send(command, data);
    return receive();
}

std::optional<MilterClient::Negotiated> MilterClient::negotiate(std::uint32_t version, std::uint32_t actions,
                                                                std::uint32_t steps) {
    auto const reply = ask('O', milter_number(version) + milter_number(actions) + milter_number(steps));
    if (!reply || reply->code != 'O' || reply->data.size() < 12) return std::nullopt;
    return Negotiated{number_at(reply->data, 0), number_at(reply->data, 4), number_at(reply->data, 8),
                      reply->data.substr(12)};
}

void MilterClient::macros(char command, Pairs const& values) {
    std::string data(1, command);
    for (auto const& [name, value] : values) data += name + '\0' + value + '\0';
    send('D', data);
}

std::optional<MilterReply> MilterClient::connect(std::string_view host, std::string_view address) {
    return ask('C', milter_connect_data(host, address));
}

std::optional<MilterReply> MilterClient::helo(std::string_view name) {
    return ask('H', std::string(name) + '\0');
}

std::optional<MilterReply> MilterClient::mail(std::string_view path,
                                              std::vector<std::string> const& parameters) {
    auto data = std::string(path) + '\0';
    for (auto const& each : parameters) data += each + '\0';
    return ask('M', data);
}

std::optional<MilterReply> MilterClient::recipient(std::string_view path) {
    return ask('R', std::string(path) + '\0');
}

std::optional<MilterReply> MilterClient::header(std::string_view name, std::string_view value) {
    return ask('L', std::string(name) + '\0' + std::string(value) + '\0');
}

std::optional<MilterReply> MilterClient::end_of_headers() { return ask('N', {}); }

std::optional<MilterReply> MilterClient::body(std::string_view chunk) { return ask('B', chunk); }

std::vector<MilterReply> MilterClient::end_of_message() {
    std::vector<MilterReply> replies;
    send('E', {});
    while (auto reply = receive()) {
        if (reply->code == 'p') continue;
        replies.push_back(*reply);
        if (std::string_view("cartdy").contains(reply->code)) break;
    }
    return replies;
}

void MilterClient::abort() { send('A', {}); }

void MilterClient::quit() { send('Q', {}); }

} // namespace postern::test
