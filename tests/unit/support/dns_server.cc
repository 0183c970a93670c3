// The in-process DNS server.
#include "tests/unit/support/dns_server.h"

#include "common/base/text.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <stdexcept>

namespace postern::test {

namespace {

constexpr std::size_t header_size = 12;

void append_u16(std::string& out, std::size_t value) {
    out += static_cast<char>(value >> 8 & 0xff);
    out += static_cast<char>(value & 0xff);
}

void append_name(std::string& out, std::string_view name) {
    if (!name.empty())
        for (auto const label : split(name, '.')) {
            out += static_cast<char>(label.size());
            out += label;
        }
    out += '\0';
}

std::string wire_data(dns::RecordType type, dns::DnsRecord const& record) {
    std::string out;
    switch (type) {
    case dns::RecordType::a:
    case dns::RecordType::aaaa:
    case dns::RecordType::soa: return record.data;
    case dns::RecordType::txt:
        for (std::size_t at = 0; at == 0 || at < record.data.size(); at += 255) {
            auto const piece = record.data.substr(at, 255);
            out += static_cast<char>(piece.size());
            out += piece;
        }
        return out;
    case dns::RecordType::mx: append_u16(out, record.preference); [[fallthrough]];
    case dns::RecordType::ns:
    case dns::RecordType::cname:
    case dns::RecordType::ptr: append_name(out, record.data); return out;
    }
    return out;
}

void append_record(std::string& out, std::string_view owner, dns::RecordType type, std::string_view data,
                   std::uint32_t ttl) {
    append_name(out, owner);
    append_u16(out, static_cast<std::size_t>(type));
    append_u16(out, 1);
    append_u16(out, ttl >> 16);
    append_u16(out, ttl & 0xffff);
    append_u16(out, data.size());
    out += data;
}

std::string soa_data(std::uint32_t minimum) {
    std::string out;
    append_name(out, "ns.example");
    append_name(out, "hostmaster.example");
    for (std::uint32_t const number : {1u, 3600u, 600u, 86400u, minimum}) {
        append_u16(out, number >> 16);
        append_u16(out, number & 0xffff);
    }
    return out;
}

struct Query {
    std::string name;
    dns::RecordType type{};
    std::string_view question; // as it came
};

Query read_query(std::string_view bytes) {
    Query query;
    std::size_t at = header_size;
    while (at < bytes.size() && bytes[at] != 0) {
        auto const size = static_cast<unsigned char>(bytes[at]);
        if (!query.name.empty()) query.name += '.';
        query.name += to_lower(bytes.substr(at + 1, size));
        at += size + 1u;
    }
    if (at + 5 > bytes.size()) throw std::invalid_argument("short query");
    auto const high = static_cast<unsigned char>(bytes[at + 1]);
    query.type = static_cast<dns::RecordType>(high << 8 | static_cast<unsigned char>(bytes[at + 2]));
    query.question = bytes.substr(header_size, at + 5 - header_size);
    return query;
}

std::string message(std::string_view query, std::string_view question, unsigned flags, std::size_t answers,
                    std::size_t authorities, std::string_view records) {
    std::string out(query.substr(0, 2));
    append_u16(out, 0x8180u | flags);
    append_u16(out, 1);
    append_u16(out, answers);
    append_u16(out, authorities);
    append_u16(out, 0);
    out += question;
    out += records;
    return out;
}

int bound_socket(int type, std::uint16_t port) {
    int const fd = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
    int const yes = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
    ::close(fd);
    return -1;
}

std::uint16_t port_of(int fd) {
    sockaddr_in address{};
    socklen_t size = sizeof address;
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return ntohs(address.sin_port);
}

bool read_exactly(int fd, char* to, std::size_t size) {
    for (std::size_t have = 0; have < size;) {
        auto const got = ::recv(fd, to + have, size - have, 0);
        if (got <= 0) return false;
        have += static_cast<std::size_t>(got);
    }
    return true;
}

} // namespace

DnsServer::DnsServer() {
    for (int attempt = 0; attempt < 50 && tcp_ < 0; ++attempt) { // one port number for both
        if (udp_ >= 0) ::close(udp_);
        udp_ = bound_socket(SOCK_DGRAM, 0);
        port_ = port_of(udp_);
        tcp_ = bound_socket(SOCK_STREAM, port_);
    }
    if (tcp_ < 0 || ::listen(tcp_, 50) != 0 || ::pipe(stop_) != 0)
        throw std::runtime_error("no loopback port");
    thread_ = std::thread([this] { run(); });
}

DnsServer::~DnsServer() {
    ::close(stop_[1]);
    thread_.join();
    ::close(stop_[0]);
    ::close(udp_);
    ::close(tcp_);
}

void DnsServer::serve(Zone zone) {
    std::lock_guard const lock(mutex_);
    zone_ = std::move(zone);
}

void DnsServer::set_manner(std::string_view name, Manner manner) {
    std::lock_guard const lock(mutex_);
    manners_[to_lower(name)] = manner;
}

std::string DnsServer::nameserver() const { return "127.0.0.1@" + std::to_string(port_); }

std::vector<std::string> DnsServer::questions() const {
    std::lock_guard const lock(mutex_);
    return questions_;
}

void DnsServer::run() {
    for (;;) {
        pollfd ready[] = {{stop_[0], POLLIN, 0}, {udp_, POLLIN, 0}, {tcp_, POLLIN, 0}};
        ::poll(ready, 3, -1);
        if (ready[0].revents != 0) return;
        if (ready[1].revents != 0) answer_udp();
        if (ready[2].revents != 0) answer_tcp();
    }
}

void DnsServer::answer_udp() {
    char query[4096];
    sockaddr_storage peer{};
    socklen_t peer_size = sizeof peer;
    auto const size =
        ::recvfrom(udp_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&peer), &peer_size);
    if (size < static_cast<ssize_t>(header_size)) return;
    auto const reply = reply_to({query, static_cast<std::size_t>(size)}, false);
    if (!reply.empty())
        ::sendto(udp_, reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&peer), peer_size);
}

void DnsServer::answer_tcp() {
    int const fd = ::accept(tcp_, nullptr, nullptr);
    if (fd < 0) return;
    timeval const patience{5, 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    unsigned char size[2];
    char query[4096];
    if (read_exactly(fd, reinterpret_cast<char*>(size), 2)) {
        auto const length = static_cast<std::size_t>(size[0] << 8 | size[1]);
        if (length <= sizeof query && read_exactly(fd, query, length)) {
            auto const reply = reply_to({query, length}, true);
            std::string framed;
            append_u16(framed, reply.size());
            framed += reply;
            if (!reply.empty()) ::send(fd, framed.data(), framed.size(), MSG_NOSIGNAL);
        }
    }
    ::close(fd);
}

std::string DnsServer::reply_to(std::string_view bytes, bool tcp) {
    auto const query = read_query(bytes);
    std::lock_guard const lock(mutex_);
    questions_.push_back((tcp ? "tcp " : "udp ") + query.name + " " + std::string(to_string(query.type)));
    auto const manner = manners_.contains(query.name) ? manners_[query.name] : Manner::normal;
    if (manner == Manner::late) std::this_thread::sleep_for(std::chrono::seconds(1));
    if (manner == Manner::silent) return {};
    if (manner == Manner::garbage) return std::string(bytes.substr(0, 2)) + "\x81\x80 this is not DNS";
    if (manner == Manner::refused) return message(bytes, query.question, 5, 0, 0, {});
    constexpr unsigned truncation = 0x0200;
    if (manner == Manner::truncated && !tcp) return message(bytes, query.question, truncation, 0, 0, {});

    std::string records;
    std::size_t count = 0;
    auto name = query.name;
    for (int links = 0; links <= 20; ++links) {
        if (zone_.fails(name, query.type)) return message(bytes, query.question, 2, 0, 0, {});
        auto const found = zone_.records(name, query.type);
        for (auto const& record : found)
            append_record(records, name, query.type, wire_data(query.type, record), zone_.ttl);
        count += found.size();
        auto const alias = zone_.records(name, dns::RecordType::cname);
        if (!found.empty() || alias.empty()) break;
        append_record(records, name, dns::RecordType::cname, wire_data(dns::RecordType::cname, alias.front()),
                      zone_.ttl);
        ++count;
        name = to_lower(alias.front().data);
    }
    if (!zone_.records(name, query.type).empty()) {
        constexpr std::size_t udp_limit = 1232;
        if (!tcp && records.size() > udp_limit) return message(bytes, query.question, truncation, 0, 0, {});
        return message(bytes, query.question, 0, count, 0, records);
    }
    append_record(records, "example", dns::RecordType::soa, soa_data(zone_.ttl), zone_.ttl);
    return message(bytes, query.question, zone_.exists(name) ? 0 : 3, count, 1, records);
}

} // namespace postern::test
