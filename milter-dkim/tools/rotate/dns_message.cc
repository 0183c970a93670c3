// Encoding, and decoding with a cursor that never leaves the message.
#include "milter-dkim/tools/rotate/dns_message.h"

#include "common/base/text.h"
#include "milter-dkim/tools/key_record.h"

#include <fmt/format.h>

#include <array>
#include <optional>

namespace postern::milter_dkim::tools {

namespace {

constexpr std::size_t longest_wire_name = 255; // RFC 1035 3.1
constexpr std::size_t longest_label = 63;
constexpr unsigned opcode_update = 5;

std::size_t octet(std::string_view octets, std::size_t at) { return static_cast<unsigned char>(octets[at]); }

class Cursor {
  public:
    Cursor(std::string_view octets, std::size_t at) : octets_(octets), at_(at) {}

    std::size_t at() const { return at_; }
    bool has(std::size_t count) const { return octets_.size() - at_ >= count; }
    bool at_end() const { return at_ == octets_.size(); }

    std::optional<std::uint16_t> u16() {
        if (!has(2)) return std::nullopt;
        at_ += 2;
        return read_u16(octets_, at_ - 2);
    }
    std::optional<std::uint32_t> u32() {
        auto const high = u16();
        auto const low = u16();
        if (!high || !low) return std::nullopt;
        return std::uint32_t{*high} << 16 | *low;
    }
    std::optional<std::string> octets(std::size_t count) {
        if (!has(count)) return std::nullopt;
        at_ += count;
        return std::string(octets_.substr(at_ - count, count));
    }
    std::optional<std::string> name();

  private:
    std::string_view octets_;
    std::size_t at_;
};

void append_label(std::string& name, std::string_view label) {
    if (!name.empty()) name += '.';
    for (char const c : label) {
        if (c == '.' || c == '\\') name += '\\';
        name += c;
    }
}

// RFC 1035 4.1.4. A pointer may only lead backwards, before where the last one led: so it ends.
std::optional<std::string> Cursor::name() {
    std::string out;
    std::size_t at = at_;
    std::size_t before = at_;
    std::size_t length = 0;
    std::optional<std::size_t> after;
    for (;;) {
        if (at >= octets_.size()) return std::nullopt;
        auto const size = octet(octets_, at);
        if ((size & 0xc0) == 0xc0) {
            if (at + 1 >= octets_.size()) return std::nullopt;
            auto const target = (size & 0x3f) << 8 | octet(octets_, at + 1);
            if (target >= before) return std::nullopt;
            if (!after) after = at + 2;
            at = before = target;
            continue;
        }
        length += size + 1;
        if (size > longest_label || length > longest_wire_name || at + 1 + size > octets_.size())
            return std::nullopt;
        if (size == 0) break;
        append_label(out, octets_.substr(at + 1, size));
        at += 1 + size;
    }
    at_ = after.value_or(at + 1);
    return out;
}

bool has_target(DnsType type) {
    return type == DnsType::ns || type == DnsType::cname || type == DnsType::soa;
}

std::optional<DnsRecord> read_record(std::string_view octets, Cursor& cursor) {
    DnsRecord record;
    record.offset = cursor.at();
    auto name = cursor.name();
    auto const type = cursor.u16();
    auto const record_class = cursor.u16();
    auto const ttl = cursor.u32();
    auto const size = cursor.u16();
    if (!name || !type || !record_class || !ttl || !size) return std::nullopt;
    auto const begin = cursor.at();
    auto data = cursor.octets(*size);
    if (!data) return std::nullopt;
    record.name = std::move(*name);
    record.type = DnsType{*type};
    record.record_class = DnsClass{*record_class};
    record.ttl = *ttl;
    record.data = std::move(*data);
    if (has_target(record.type) && !record.data.empty()) { // an update has them empty
        Cursor inside(octets, begin);
        auto target = inside.name();
        if (!target || inside.at() > cursor.at()) return std::nullopt;
        record.target = std::move(*target);
    }
    return record;
}

bool read_section(std::string_view octets, Cursor& cursor, std::size_t count,
                  std::vector<DnsRecord>& records) {
    for (; count > 0; --count) {
        auto record = read_record(octets, cursor);
        if (!record) return false;
        records.push_back(std::move(*record));
    }
    return true;
}

bool read_question(Cursor& cursor, DnsMessage& message) {
    auto name = cursor.name();
    auto const type = cursor.u16();
    if (!name || !type || !cursor.u16()) return false;
    message.question_name = std::move(*name);
    message.question_type = DnsType{*type};
    return true;
}

void append_header(std::string& out, std::uint16_t id, unsigned opcode, std::size_t updates) {
    append_u16(out, id);
    append_u16(out, opcode << 11);
    append_u16(out, 1); // one question, or one zone
    append_u16(out, 0);
    append_u16(out, updates);
    append_u16(out, 0);
}

void append_question(std::string& out, std::string_view name, DnsType type) {
    append_name(out, name);
    append_u16(out, static_cast<std::size_t>(type));
    append_u16(out, static_cast<std::size_t>(DnsClass::in));
}

void append_record(std::string& out, std::string_view name, DnsClass record_class, std::uint32_t ttl,
                   std::string_view data) {
    append_name(out, name);
    append_u16(out, static_cast<std::size_t>(DnsType::txt));
    append_u16(out, static_cast<std::size_t>(record_class));
    append_u32(out, ttl);
    append_u16(out, data.size());
    out += data;
}

} // namespace

void append_u16(std::string& out, std::size_t value) {
    out += static_cast<char>(value >> 8 & 0xff);
    out += static_cast<char>(value & 0xff);
}

void append_u32(std::string& out, std::uint32_t value) {
    append_u16(out, value >> 16);
    append_u16(out, value & 0xffff);
}

void append_name(std::string& out, std::string_view name) {
    if (!name.empty())
        for (auto const label : split(name, '.')) {
            out += static_cast<char>(label.size());
            out += label;
        }
    out += '\0';
}

std::uint16_t read_u16(std::string_view octets, std::size_t at) {
    return static_cast<std::uint16_t>(octet(octets, at) << 8 | octet(octets, at + 1));
}

void write_u16(std::string& octets, std::size_t at, std::uint16_t value) {
    octets[at] = static_cast<char>(value >> 8);
    octets[at + 1] = static_cast<char>(value & 0xff);
}

Result<DnsMessage> decode_dns_message(std::string_view octets) {
    if (octets.size() < dns_header_size || octets.size() > largest_dns_message)
        return malformed("no DNS message by its size");
    DnsMessage message;
    message.id = read_u16(octets, 0);
    unsigned const flags = read_u16(octets, 2);
    message.is_response = (flags & 0x8000) != 0;
    message.opcode = flags >> 11 & 0xf;
    message.authoritative = (flags & 0x0400) != 0;
    message.truncated = (flags & 0x0200) != 0;
    message.rcode = flags & 0xf;
    std::size_t const questions = read_u16(octets, 4);
    std::array<std::size_t, 3> const counts{read_u16(octets, 6), read_u16(octets, 8), read_u16(octets, 10)};
    if (questions > 1 || counts[0] + counts[1] + counts[2] > most_dns_records)
        return malformed("a DNS message with too many records");
    Cursor cursor(octets, dns_header_size);
    bool const whole = (questions == 0 || read_question(cursor, message)) &&
                       read_section(octets, cursor, counts[0], message.answers) &&
                       read_section(octets, cursor, counts[1], message.authorities) &&
                       read_section(octets, cursor, counts[2], message.additionals);
    if (!whole) return malformed("a garbled DNS message");
    if (!cursor.at_end()) return malformed("a DNS message with something behind it");
    return message;
}

Result<std::string> txt_text(DnsRecord const& record) {
    std::string text;
    for (std::string_view rest = record.data; !rest.empty();) {
        auto const size = octet(rest, 0);
        if (rest.size() < size + 1) return malformed("a garbled TXT record");
        text += rest.substr(1, size);
        rest.remove_prefix(size + 1);
    }
    return text;
}

std::string encode_dns_query(std::uint16_t id, std::string_view name, DnsType type) {
    std::string out;
    append_header(out, id, 0, 0);
    append_question(out, name, type);
    return out;
}

std::string encode_dns_update(std::uint16_t id, TxtUpdate const& update) {
    std::string data;
    for (auto const& piece : txt_strings(update.text)) {
        data += static_cast<char>(piece.size());
        data += piece;
    }
    std::string out;
    append_header(out, id, opcode_update, 2);
    append_question(out, update.zone, DnsType::soa);                 // RFC 2136 2.3
    append_record(out, update.name, DnsClass::any, 0, {});           // 2.5.2: delete an RRset
    append_record(out, update.name, DnsClass::in, update.ttl, data); // 2.5.1: add to an RRset
    return out;
}

std::string rcode_name(unsigned rcode) {
    constexpr std::string_view names[] = {"NOERROR",  "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
                                          "YXDOMAIN", "YXRRSET", "NXRRSET",  "NOTAUTH",  "NOTZONE"};
    if (rcode < std::size(names)) return std::string(names[rcode]);
    switch (rcode) {
    case 16: return "BADSIG";
    case 17: return "BADKEY";
    case 18: return "BADTIME";
    case 22: return "BADTRUNC";
    default: return fmt::format("rcode {}", rcode);
    }
}

} // namespace postern::milter_dkim::tools
