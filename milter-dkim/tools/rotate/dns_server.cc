// Datagrams and streams to name servers.
#include "milter-dkim/tools/rotate/dns_server.h"

#include "common/base/secret.h"
#include "common/base/text.h"
#include "common/net/descriptor.h"
#include "common/net/stream.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <span>

namespace postern::milter_dkim::tools {

namespace {

constexpr std::chrono::seconds one_try{2};
constexpr int tries = 3;

std::uint16_t random_id() { return read_u16(random_octets(2), 0); }

bool is_no_way(int error_number) {
    return error_number == ENETUNREACH || error_number == EADDRNOTAVAIL || error_number == EAFNOSUPPORT;
}

std::unexpected<Error> socket_error(std::string_view what, int error_number) {
    return system_error(what, error_number,
                        is_no_way(error_number) ? ErrorKind::permanent : ErrorKind::temporary);
}

Result<net::Descriptor> datagram_socket(net::Address const& server) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_DGRAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    addrinfo* found = nullptr;
    if (::getaddrinfo(server.host.c_str(), std::to_string(server.port).c_str(), &hints, &found) != 0)
        return permanent(server.host + " is no address");
    std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> const list(found, ::freeaddrinfo);
    net::Descriptor fd(::socket(list->ai_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd) return socket_error("socket", errno);
    // Connected: the kernel lets only this server's datagrams in, and tells when it is not there.
    if (::connect(fd.get(), list->ai_addr, list->ai_addrlen) != 0) return socket_error("connect", errno);
    return fd;
}

bool answers(DnsMessage const& message, std::uint16_t id, std::string_view name, DnsType type) {
    return message.is_response && message.id == id && message.question_type == type &&
           equals_ignoring_case(message.question_name, name);
}

// What is no answer to this question is passed over: an old answer, or somebody who guesses.
Result<DnsMessage> receive(int fd, std::uint16_t id, std::string_view name, DnsType type, Deadline deadline) {
    std::string buffer(largest_dns_message, '\0');
    for (;;) {
        pollfd waiting{fd, POLLIN, 0};
        int const ready = ::poll(&waiting, 1, deadline.poll_timeout());
        if (ready < 0 && errno != EINTR) return system_error("poll", errno);
        if (ready <= 0 && deadline.expired()) return temporary("no answer");
        if (ready <= 0) continue;
        auto const size = ::recv(fd, buffer.data(), buffer.size(), 0);
        if (size < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (size < 0) return socket_error("receive", errno);
        auto message = decode_dns_message(std::string_view(buffer).substr(0, static_cast<std::size_t>(size)));
        if (message && answers(*message, id, name, type)) return message;
    }
}

Result<std::string> read_octets(net::Stream& stream, std::size_t count, Deadline deadline) {
    std::string octets(count, '\0');
    for (std::size_t have = 0; have < count;) {
        auto const got = stream.read(std::span(octets).subspan(have), deadline);
        if (!got) return std::unexpected(got.error());
        have += *got;
    }
    return octets;
}

// RFC 1035 4.2.2: two octets of length before each message.
Result<std::string> exchange(net::Address const& server, std::string_view request, Deadline deadline) {
    auto stream = net::connect(server, deadline);
    if (!stream) return std::unexpected(stream.error());
    std::string framed;
    append_u16(framed, request.size());
    framed += request;
    if (auto done = stream->write(framed, deadline); !done) return std::unexpected(done.error());
    auto const size = read_octets(*stream, 2, deadline);
    if (!size) return std::unexpected(size.error());
    return read_octets(*stream, read_u16(*size, 0), deadline);
}

Result<DnsMessage> ask_over_tcp(net::Address const& server, std::string_view name, DnsType type,
                                Deadline deadline) {
    auto const id = random_id();
    auto const octets = exchange(server, encode_dns_query(id, name, type), deadline);
    if (!octets) return std::unexpected(octets.error());
    auto message = decode_dns_message(*octets);
    if (!message) return temporary(message.error().text);
    if (!answers(*message, id, name, type)) return temporary("the answer is for another question");
    return message;
}

Result<DnsMessage> ask_over_udp(net::Address const& server, std::string_view name, DnsType type,
                                Deadline deadline) {
    auto const fd = datagram_socket(server);
    if (!fd) return std::unexpected(fd.error());
    Result<DnsMessage> last = temporary("no answer");
    for (int i = 0; i < tries && !deadline.expired(); ++i) {
        auto const id = random_id();
        auto const query = encode_dns_query(id, name, type);
        if (::send(fd->get(), query.data(), query.size(), 0) < 0) return socket_error("send", errno);
        last = receive(fd->get(), id, name, type, deadline.or_after(one_try));
        if (last || last.error().kind == ErrorKind::permanent) break;
    }
    return last;
}

} // namespace

Result<net::Address> parse_dns_server(std::string_view text, std::uint16_t default_port) {
    auto const halves = halve_at_last(text, '@');
    net::Address address{net::Address::Kind::inet, {}, std::string(halves.before), default_port};
    if (halves.after) {
        auto const port = parse_number<std::uint16_t>(*halves.after);
        if (!port || *port == 0) return permanent(fmt::format("\"{}\" is no port", printable(*halves.after)));
        address.port = *port;
    }
    addrinfo hints{};
    hints.ai_flags = AI_NUMERICHOST;
    addrinfo* found = nullptr;
    if (address.host.empty() || ::getaddrinfo(address.host.c_str(), nullptr, &hints, &found) != 0)
        return permanent(
            fmt::format("\"{}\" is no address; write 192.0.2.1 or 192.0.2.1@5353", printable(text)));
    if (found->ai_family == AF_INET6) address.kind = net::Address::Kind::inet6;
    ::freeaddrinfo(found);
    return address;
}

std::string to_text(net::Address const& server) { return fmt::format("{}@{}", server.host, server.port); }

Result<DnsMessage> NetworkDnsServers::ask(net::Address const& server, std::string_view name, DnsType type,
                                          Deadline deadline) {
    auto answer = ask_over_udp(server, name, type, deadline);
    if (answer && answer->truncated) answer = ask_over_tcp(server, name, type, deadline);
    if (!answer) return std::unexpected(std::move(answer.error()).within(to_text(server)));
    return answer;
}

Result<> NetworkDnsServers::update(net::Address const& server, TxtUpdate const& update,
                                   std::optional<TsigKey> const& key, Deadline deadline) {
    auto const id = random_id();
    auto request = encode_dns_update(id, update);
    std::string mac;
    if (key) {
        auto made = sign_tsig(std::move(request), *key, unix_time());
        request = std::move(made.octets);
        mac = std::move(made.mac);
    }
    auto const answer = exchange(server, request, deadline);
    if (!answer) return std::unexpected(answer.error());
    auto const message = decode_dns_message(*answer);
    if (!message || message->id != id || !message->is_response)
        return temporary(to_text(server) + ": no answer to an update");
    // Before the rcode, since anybody can refuse; a TSIG error tells more than the NOTAUTH it comes with.
    if (key)
        if (auto good = verify_tsig(*answer, *key, mac, unix_time()); !good) {
            auto const kind = message->rcode != 0 || good.error().kind == ErrorKind::permanent
                                  ? ErrorKind::permanent
                                  : ErrorKind::temporary;
            return std::unexpected(Error{kind, fmt::format("{}: {}, {}", to_text(server),
                                                           rcode_name(message->rcode), good.error().text)});
        }
    if (message->rcode == 0) return {};
    constexpr unsigned servfail = 2;
    return std::unexpected(Error{
        message->rcode == servfail ? ErrorKind::temporary : ErrorKind::permanent,
        fmt::format("{} does not update {}: {}", to_text(server), update.zone, rcode_name(message->rcode))});
}

} // namespace postern::milter_dkim::tools
