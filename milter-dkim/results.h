// Results of signatures, and Authentication-Results (RFC 8601) in OpenDKIM's wording and folds.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// What one signature came to.
struct SignatureResult {
    enum class Kind { pass, fail, policy, neutral, temperror, permerror };
    Kind kind = Kind::neutral;
    std::string reason;    // for fail and policy; a fixed text of ours or the library's
    unsigned key_bits = 0; // 0: unknown, or Ed25519
    std::string dnssec;    // "secure", "unprotected"; empty: unknown
    std::string domain;    // d=
    std::string identity;  // i=, or "@" and d=
    std::string algorithm; // a=
    std::string selector;  // s=
    std::string signature; // so much of b= as tells it from the others
};

std::string_view to_string(SignatureResult::Kind kind);

struct ResultsStyle {
    std::string authserv_id; // with "/jobid" where that is wanted
    bool no_header_b = false;
    bool leading_space = false; // the value will be written with one: it counts for the folds
};

// The value of the field, lines joined with "\n"; no results give dkim=none.
std::string results_text(ResultsStyle const& style, std::vector<SignatureResult> const& results);
// For a message without a usable sender or header.
std::string malformed_text(std::string_view authserv_id);

} // namespace postern::milter_dkim
