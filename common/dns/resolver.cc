// Names and types of DNS questions.
#include "common/dns/resolver.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::dns {

namespace {

constexpr std::size_t max_name = 253; // RFC 1035 2.3.4: 255 octets on the wire
constexpr std::size_t max_label = 63;
constexpr std::string_view bogus_mark = "DNSSEC: ";

} // namespace

Error bogus_answer(std::string_view why) {
    return {ErrorKind::temporary, std::string(bogus_mark) + std::string(why)};
}

bool is_bogus(Error const& error) {
    return error.kind == ErrorKind::temporary && error.text.contains(bogus_mark);
}

std::string_view to_string(RecordType type) {
    switch (type) {
    case RecordType::a: return "A";
    case RecordType::ns: return "NS";
    case RecordType::cname: return "CNAME";
    case RecordType::soa: return "SOA";
    case RecordType::ptr: return "PTR";
    case RecordType::mx: return "MX";
    case RecordType::txt: return "TXT";
    case RecordType::aaaa: return "AAAA";
    }
    return "?";
}

bool is_askable(std::string_view name) {
    if (name.empty() || name.size() > max_name) return false;
    for (auto const label : split(name, '.'))
        if (label.empty() || label.size() > max_label) return false;
    return name.find('\0') == std::string_view::npos;
}

std::string reverse_name(std::string_view address_octets) {
    std::string out;
    for (auto octet = address_octets.rbegin(); octet != address_octets.rend(); ++octet) {
        unsigned const value = static_cast<unsigned char>(*octet);
        if (address_octets.size() == 4)
            out += fmt::format("{}.", value);
        else
            out += fmt::format("{:x}.{:x}.", value & 0xf, value >> 4);
    }
    return out + (address_octets.size() == 4 ? "in-addr.arpa" : "ip6.arpa");
}

} // namespace postern::dns
