// Zones by their NS records, and one question to each of their servers.
#include "milter-dkim/tools/rotate/authorities.h"

#include "common/base/text.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <optional>

namespace postern::milter_dkim::tools {

namespace {

using dns::RecordType;

constexpr unsigned noerror = 0;
constexpr unsigned nxdomain = 3;
// A server that is slow must not eat the time of the others.
constexpr std::chrono::seconds one_server{7};

std::optional<std::string> tag(std::string_view record, std::string_view name) {
    for (auto const part : split(record, ';')) {
        auto const halves = halve(part, '=');
        if (trim(halves.before) != name || !halves.after) continue;
        std::string value;
        for (char const c : *halves.after)
            if (!is_space(c)) value += c;
        return value;
    }
    return std::nullopt;
}

std::string address_text(std::string_view octets) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(octets.size() == 4 ? AF_INET : AF_INET6, octets.data(), text.data(), text.size());
    return text.data();
}

// RFC 1035 3.3.13: MNAME is the first name of a SOA record, here without compression.
std::string primary_name(std::string_view soa) {
    std::string name;
    while (!soa.empty() && soa[0] != 0) {
        std::size_t const size = static_cast<unsigned char>(soa[0]);
        if (soa.size() < size + 1) return {};
        if (!name.empty()) name += '.';
        name += soa.substr(1, size);
        soa.remove_prefix(size + 1);
    }
    return name;
}

std::vector<std::string> texts_of(DnsMessage const& message) {
    std::vector<std::string> texts;
    for (auto const& record : message.answers)
        if (record.type == DnsType::txt)
            if (auto text = txt_text(record)) texts.push_back(std::move(*text));
    return texts;
}

// What one address has to say.
struct Look {
    std::string missing; // empty: it shows the record
    bool is_conflict = false;
    bool is_unreachable = false;
    bool is_absent = false;
};

Look judge(Result<DnsMessage> const& answer, std::string_view record) {
    if (!answer) return {answer.error().text, false, answer.error().kind == ErrorKind::permanent};
    if (answer->rcode != noerror && answer->rcode != nxdomain) return {rcode_name(answer->rcode)};
    if (!answer->authoritative) return {"answers without authority (a lame delegation)"};
    auto const texts = texts_of(*answer);
    if (texts.empty()) return {"has no record", false, false, true};
    if (texts.size() > 1) return {fmt::format("has {} records", texts.size()), true};
    if (same_key(texts[0], record)) return {};
    return {fmt::format("has another record: {}", printable(texts[0], 60)), !is_revoked(texts[0])};
}

} // namespace

bool same_key(std::string_view a, std::string_view b) {
    auto const key = tag(a, "p");
    return key && key == tag(b, "p") && tag(a, "k").value_or("rsa") == tag(b, "k").value_or("rsa");
}

bool is_revoked(std::string_view record) { return tag(record, "p") == ""; }

Result<std::string> Authorities::zone_of(std::string_view name, Deadline deadline) const {
    if (!settings_.zone.empty()) return settings_.zone;
    for (auto zone = name;;) {
        auto const parent = halve(zone, '.').after;
        // A top-level domain is nobody's zone for keys; its servers would be asked in vain.
        if (!parent || !parent->contains('.'))
            return permanent(fmt::format("no zone has {}: is the domain delegated?", name));
        zone = *parent;
        auto const found = resolver_.lookup(zone, RecordType::ns, deadline);
        if (!found) return std::unexpected(Error(found.error()).within(fmt::format("NS of {}", zone)));
        if (found->found()) return std::string(zone);
    }
}

Result<std::vector<net::Address>> Authorities::addresses_of(std::string_view host, Deadline deadline) const {
    std::vector<net::Address> addresses;
    for (auto const type : {RecordType::a, RecordType::aaaa}) {
        auto const found = resolver_.lookup(host, type, deadline);
        if (!found) return std::unexpected(Error(found.error()).within(fmt::format("addresses of {}", host)));
        if (!found->found()) continue;
        for (auto const& record : found->records)
            addresses.push_back({type == RecordType::a ? net::Address::Kind::inet : net::Address::Kind::inet6,
                                 {},
                                 address_text(record.data),
                                 settings_.port});
    }
    if (addresses.empty()) return temporary(fmt::format("the name server {} has no address", host));
    return addresses;
}

Result<std::vector<AuthoritativeServer>> Authorities::servers_of(std::string_view zone,
                                                                 Deadline deadline) const {
    std::vector<AuthoritativeServer> servers;
    for (auto const& address : settings_.servers) servers.push_back({to_text(address), {address}});
    if (!servers.empty()) return servers;
    auto const names = resolver_.lookup(zone, RecordType::ns, deadline);
    if (!names) return std::unexpected(Error(names.error()).within(fmt::format("NS of {}", zone)));
    if (!names->found()) return permanent(fmt::format("{} has no NS records", zone));
    for (auto const& record : names->records) {
        auto addresses = addresses_of(record.data, deadline);
        if (!addresses) return std::unexpected(addresses.error());
        servers.push_back({record.data, std::move(*addresses)});
    }
    return servers;
}

Result<std::vector<net::Address>> Authorities::primaries_of(std::string_view zone, Deadline deadline) const {
    if (!settings_.primary.empty()) return settings_.primary;
    auto const soa = resolver_.lookup(zone, RecordType::soa, deadline);
    if (!soa) return std::unexpected(Error(soa.error()).within(fmt::format("SOA of {}", zone)));
    if (!soa->found()) return permanent(fmt::format("{} has no SOA record", zone));
    return addresses_of(primary_name(soa->records[0].data), deadline);
}

Result<Authority> Authorities::find(std::string_view record_name, Deadline deadline) const {
    auto zone = zone_of(record_name, deadline);
    if (!zone) return std::unexpected(zone.error());
    auto servers = servers_of(*zone, deadline);
    if (!servers) return std::unexpected(servers.error());
    // A hidden primary is in nobody's DNS: whoever updates it says where it is.
    auto primaries = primaries_of(*zone, deadline);
    return Authority{std::move(*zone), std::move(*servers),
                     primaries ? std::move(*primaries) : std::vector<net::Address>()};
}

Authorities::Sight Authorities::look(Authority const& authority, std::string_view record_name,
                                     std::string_view record, Deadline deadline) const {
    Sight sight;
    bool absent = true;
    for (auto const& server : authority.servers) {
        std::size_t unreachable = 0;
        for (auto const& address : server.addresses) {
            auto const seen = judge(
                servers_.ask(address, record_name, DnsType::txt, deadline.or_after(one_server)), record);
            if (seen.missing.empty()) absent = false;
            if (seen.missing.empty()) continue;
            // A host without IPv6 cannot ask there; another address of the same server speaks for it.
            if (seen.is_unreachable && ++unreachable < server.addresses.size()) continue;
            absent = absent && seen.is_absent;
            auto text = fmt::format("{} ({}): {}", server.name, to_text(address), seen.missing);
            if (seen.is_conflict) sight.conflicts.push_back(text);
            sight.missing.push_back(std::move(text));
        }
    }
    sight.nowhere = absent;
    return sight;
}

} // namespace postern::milter_dkim::tools
