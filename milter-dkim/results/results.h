// Results of signatures, and Authentication-Results (RFC 8601) in OpenDKIM's wording and folds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// What one signature came to.
struct SignatureResult {
    enum class Kind { pass, fail, policy, neutral, temperror, permerror };
    Kind kind = Kind::neutral;
    std::string reason;    // for fail and policy; a fixed text
    std::string why;       // for the log and for people, where the reason does not say it
    unsigned key_bits = 0; // 0: unknown, or Ed25519
    std::string dnssec;    // "secure", "unprotected"; empty: unknown
    std::string domain;    // d=
    std::string identity;  // i=, or "@" and d=
    std::string algorithm; // a=
    std::string selector;  // s=
    std::string signature; // so much of b= as tells it from the others
    std::string record;    // the key record, for people

    // For statistics, reports and scripts, in libopendkim's numbers (DKIM_SIGERROR_*, DKIM_SIGBH_*).
    int error = -1;
    int body_hash = -1;           // 0: matches, 1: does not, -1: was not compared
    std::int64_t body_length = 0; // canonical octets
    std::int64_t covered = 0;     // of them those that were hashed
    std::int64_t limit = -1;      // l=; -1: none
    // No pass, but the message goes on by a setting: Minimum, UnprotectedKey, BogusKey.
    bool tolerated = false;
};

std::string_view to_string(SignatureResult::Kind kind);

struct ResultsStyle {
    std::string authserv_id; // with "/jobid" where that is wanted
    bool no_header_b = false;
    bool leading_space = false;        // the value will be written with one: it counts for the folds
    std::string_view atps = "neutral"; // RFC 6541's result: pass, fail, or neutral when nothing was asked
};

// The value of the field, lines joined with "\n"; no results give dkim=none.
std::string results_text(ResultsStyle const& style, std::vector<SignatureResult> const& results);
// For a message without a usable sender or header.
std::string malformed_text(std::string_view authserv_id);

} // namespace postern::milter_dkim
