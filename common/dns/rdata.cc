// Record data.
#include "common/dns/rdata.h"

#include <optional>

namespace postern::dns {

namespace {

std::size_t octet_at(std::string_view bytes, std::size_t index) {
    return static_cast<unsigned char>(bytes[index]);
}

// RFC 1035 3.1, without the compression of 4.1.4. A dot inside a label is written as it stands: such a name
// equals no name that could be asked for, which is what its readers need.
std::optional<std::string> decode_name(std::string_view wire) {
    std::string name;
    while (!wire.empty()) {
        std::size_t const size = octet_at(wire, 0);
        if (size == 0) return wire.size() == 1 ? std::optional(name) : std::nullopt;
        if (size > 63 || wire.size() < size + 1) return std::nullopt;
        if (!name.empty()) name += '.';
        name.append(wire.substr(1, size));
        wire.remove_prefix(size + 1);
    }
    return std::nullopt;
}

std::optional<std::string> decode_strings(std::string_view wire) {
    std::string text;
    while (!wire.empty()) {
        std::size_t const size = octet_at(wire, 0);
        if (wire.size() < size + 1) return std::nullopt;
        text.append(wire.substr(1, size));
        wire.remove_prefix(size + 1);
    }
    return text;
}

std::optional<DnsRecord> decode(RecordType type, std::string_view rdata) {
    auto const record = [](std::optional<std::string> data, std::uint16_t preference = 0) {
        return data ? std::optional(DnsRecord{std::move(*data), preference}) : std::nullopt;
    };
    switch (type) {
    case RecordType::a: return rdata.size() == 4 ? record(std::string(rdata)) : std::nullopt;
    case RecordType::aaaa: return rdata.size() == 16 ? record(std::string(rdata)) : std::nullopt;
    case RecordType::txt: return record(decode_strings(rdata));
    case RecordType::mx:
        if (rdata.size() < 3) return std::nullopt;
        return record(decode_name(rdata.substr(2)),
                      static_cast<std::uint16_t>(octet_at(rdata, 0) << 8 | octet_at(rdata, 1)));
    case RecordType::soa: return record(std::string(rdata));
    case RecordType::ns:
    case RecordType::cname:
    case RecordType::ptr: return record(decode_name(rdata));
    }
    return std::nullopt;
}

} // namespace

Result<DnsRecord> decode_rdata(RecordType type, std::string_view rdata) {
    auto decoded = decode(type, rdata);
    if (!decoded) return temporary("garbled " + std::string(to_string(type)) + " record");
    return std::move(*decoded);
}

} // namespace postern::dns
