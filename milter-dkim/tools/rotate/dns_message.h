// DNS messages as octets: what is asked of one given server, and updates for it (RFC 1035 4, RFC 2136).
#pragma once

#include "common/base/error.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim::tools {

enum class DnsType : std::uint16_t { ns = 2, cname = 5, soa = 6, txt = 16, tsig = 250, any = 255 };
enum class DnsClass : std::uint16_t { in = 1, any = 255 };

inline constexpr std::size_t dns_header_size = 12;
inline constexpr std::size_t largest_dns_message = 65535; // RFC 1035 4.2.2
// Records of one message that are read; an answer about one key has a handful.
inline constexpr std::size_t most_dns_records = 512;

struct DnsRecord {
    std::string name; // as received, without the final dot; a dot inside a label is "\."
    DnsType type{};
    DnsClass record_class{};
    std::uint32_t ttl = 0;
    std::string data;       // as on the wire
    std::string target;     // NS, CNAME, SOA: the (first) name in it
    std::size_t offset = 0; // where the record begins in the message
};

struct DnsMessage {
    std::uint16_t id = 0;
    bool is_response = false;
    bool authoritative = false;
    bool truncated = false;
    unsigned opcode = 0; // 0 QUERY, 5 UPDATE
    unsigned rcode = 0;
    std::string question_name; // empty without a question
    DnsType question_type{};
    std::vector<DnsRecord> answers;
    std::vector<DnsRecord> authorities;
    std::vector<DnsRecord> additionals;
};

// Anything that is not whole, points forward or goes on after its last record is malformed.
Result<DnsMessage> decode_dns_message(std::string_view octets);

// The strings of a TXT record joined; absent when they do not fill the data.
Result<std::string> txt_text(DnsRecord const& record);

// A question without recursion. name has been checked: labels of 1 to 63 octets, at most 253 in all.
std::string encode_dns_query(std::uint16_t id, std::string_view name, DnsType type);

// All TXT records at name go, and one with this text takes their place.
struct TxtUpdate {
    std::string zone;
    std::string name;
    std::string text;
    std::uint32_t ttl = 3600; // seconds
};
std::string encode_dns_update(std::uint16_t id, TxtUpdate const& update);

// Parts that TSIG needs too.
void append_u16(std::string& out, std::size_t value);
void append_u32(std::string& out, std::uint32_t value);
void append_name(std::string& out, std::string_view name);
std::uint16_t read_u16(std::string_view octets, std::size_t at); // both octets are there
void write_u16(std::string& octets, std::size_t at, std::uint16_t value);

// "REFUSED", "NOTAUTH" and so on, RFC 1035, 2136 and 8945.
std::string rcode_name(unsigned rcode);

} // namespace postern::milter_dkim::tools
