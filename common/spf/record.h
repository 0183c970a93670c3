// SPF records (RFC 7208 sections 4.6 and 12): text to terms, every error found before anything is evaluated.
#pragma once

#include "common/base/error.h"
#include "common/spf/ip_address.h"
#include "common/spf/macro.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::spf {

enum class Qualifier { pass, fail, softfail, neutral };
enum class Mechanism { all, include, a, mx, ptr, ip4, ip6, exists };

struct Term {
    Qualifier qualifier = Qualifier::pass;
    Mechanism mechanism = Mechanism::all;
    std::string text;                 // as written, for messages
    MacroString domain;               // empty: the current domain (a, mx, ptr only)
    unsigned prefix4 = 32;            // a, mx, ip4
    unsigned prefix6 = 128;           // a, mx, ip6
    std::optional<IpAddress> network; // ip4, ip6

    bool asks_dns() const {
        return mechanism != Mechanism::all && mechanism != Mechanism::ip4 && mechanism != Mechanism::ip6;
    }
};

struct Record {
    std::vector<Term> terms; // in order; nothing behind the first "all" is left out
    std::optional<MacroString> redirect;
    std::optional<MacroString> exp;

    bool has_all() const;
};

// RFC 7208 4.5: "v=spf1" in any case, then a space or the end.
bool is_spf_record(std::string_view txt);
// The error is permanent (permerror); its text is what a person reads after "SPF Permanent Error: ". It may
// hold a stranger's octets.
Result<Record> parse_record(std::string_view text);

char qualifier_sign(Qualifier qualifier); // '+', '-', '~', '?'

} // namespace postern::spf
