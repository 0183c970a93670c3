// The DMARC policy record (RFC 9989 section 4.7 and 4.8) as a value.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dmarc {

enum class Policy { none, quarantine, reject };
enum class Alignment { relaxed, strict };
enum class PublicSuffixFlag { unknown, yes, no }; // psd=

std::string_view to_string(Policy policy);

struct Record {
    // What RFC 9989 4.10.1 makes of p, sp and np.
    enum class Verdict {
        usable,
        monitoring, // p is missing, or p, sp or np is invalid, but rua holds a URI: taken as p=none
        unusable,   // the same without such a URI: no DMARC processing
    };
    Verdict verdict = Verdict::usable;
    Policy p = Policy::none;
    std::optional<Policy> sp;
    std::optional<Policy> np;
    Alignment adkim = Alignment::relaxed;
    Alignment aspf = Alignment::relaxed;
    PublicSuffixFlag psd = PublicSuffixFlag::unknown;
    bool testing = false;         // t=y
    int pct = 100;                // historic (RFC 7489); 0 to 100
    std::string fo = "0";         // "0", "1", "d", "s" joined by ":"
    std::vector<std::string> rua; // URIs in order, obsolete "!size" removed, malformed ones left out
    std::vector<std::string> ruf;
    std::vector<std::string> notes; // what was wrong, for the log and the reports' <error>
};

inline constexpr std::size_t max_record_octets = 8192; // what follows is not read
inline constexpr std::size_t max_record_tags = 64;

// Absent when the text does not begin with the tag v=DMARC1: then it is another program's TXT record.
std::optional<Record> parse_record(std::string_view txt);

} // namespace postern::milter_dmarc
