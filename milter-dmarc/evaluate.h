// The DMARC verdict on one message (RFC 9989 section 5): alignment, result and the policy that applies.
#pragma once

#include "milter-dmarc/discovery.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dmarc {

// What SPF said about the MAIL FROM domain, or about HELO for the null sender (RFC 9989 3.2.4).
struct SpfIdentity {
    std::string result; // "pass", "fail", ... as in Authentication-Results
    std::string domain; // normalised
};

struct DkimIdentity {
    std::string result;
    std::string domain;   // d=, normalised
    std::string selector; // empty when unknown
};

struct Identities {
    std::optional<SpfIdentity> spf;
    std::vector<DkimIdentity> dkim;
};

enum class DmarcResult { none, pass, fail, temperror, permerror };
std::string_view to_string(DmarcResult result);

struct Evaluation {
    DmarcResult result = DmarcResult::none;
    std::optional<FoundRecord> found;  // the record that applies
    Policy policy = Policy::none;      // as published for this author: p, sp or np
    std::string_view policy_tag = "p"; // which of them
    Policy disposition =
        Policy::none;         // what the owner asks for: policy lowered by t=y; none unless result is fail
    bool spf_aligned = false; // a pass that aligns
    bool dkim_aligned = false;
    std::string reason; // of temperror and of "none" with an unusable record, for the log
};

// author is normalised.
Evaluation evaluate(std::string const& author, Identities const& identities, Discovery& discovery);

} // namespace postern::milter_dmarc
