// DNS questions: one interface for DKIM keys, SPF and DMARC, so that tests can answer from a map.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::dns {

enum class RecordType : std::uint16_t {
    a = 1,
    ns = 2,
    cname = 5,
    soa = 6,
    ptr = 12,
    mx = 15,
    txt = 16,
    aaaa = 28
};

std::string_view to_string(RecordType type);

struct DnsRecord {
    // A: 4 octets, AAAA: 16 octets, in network order. TXT: the strings of one record joined with nothing
    // between (RFC 7208 3.3), any octets. MX, PTR, NS, CNAME: the name, lower case as received is not
    // promised, without the final dot. The MX of RFC 7505 ("null MX") has an empty name.
    std::string data;
    std::uint16_t preference = 0; // MX only

    bool operator==(DnsRecord const&) const = default;
};

struct DnsAnswer {
    enum class Kind {
        found,        // records has at least one
        no_records,   // the name exists, this type does not (NODATA)
        no_such_name, // NXDOMAIN
    };
    Kind kind = Kind::no_such_name;
    std::vector<DnsRecord> records; // in the order of the answer
    std::uint32_t ttl = 0;          // seconds; of a negative answer, from its SOA
    bool secure = false;            // DNSSEC validated

    bool found() const { return kind == Kind::found; }
};

// Thread-safe; one serves a whole program.
class Resolver {
  public:
    virtual ~Resolver() = default;
    // name without final dot, at most 253 octets, labels 1 to 63; anything else is ErrorKind::malformed and
    // never leaves this machine. SERVFAIL, a refused or garbled answer and a passed deadline are
    // ErrorKind::temporary.
    virtual Result<DnsAnswer> lookup(std::string_view name, RecordType type, Deadline deadline) = 0;
};

// A lookup's error when DNSSEC says that the answer is forged; is_bogus() tells it from other failures.
Error bogus_answer(std::string_view why);
bool is_bogus(Error const& error);
// RFC 1035 2.3.4 and 3.1: whether a name can be asked for at all. Underscores and other octets are allowed.
bool is_askable(std::string_view name);
// "4.3.2.1.in-addr.arpa" or the ip6.arpa form, from 4 or 16 octets.
std::string reverse_name(std::string_view address_octets);

} // namespace postern::dns
