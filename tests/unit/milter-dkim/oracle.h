// libopendkim as the judge of our signer and verifier.
#pragma once

#include "milter-dkim/decide/decision.h"

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace postern::test {

struct OracleSettings {
    milter_dkim::Canonicalization canonicalization;
    std::string domain = "example.com";
    std::string selector = "s";
    std::string identity;
    std::vector<std::string> sign{"from",      "reply-to",    "subject",     "date",          "to",
                                  "cc",        "resent-date", "resent-from", "resent-sender", "resent-to",
                                  "resent-cc", "in-reply-to", "references",  "list-id"};
    std::vector<std::string> omit;
    std::vector<std::string> oversign;
    std::uint64_t ttl = 0;
    long limit = -1; // octets of the body; -1: all
    bool tells_length = false;
    bool copies_headers = false;
};

// The value of the DKIM-Signature that libopendkim makes, lines joined with "\n".
std::string oracle_signature(OracleSettings const& settings, std::string const& pem,
                             milter_dkim::HeaderList const& headers, std::string const& body,
                             std::int64_t now);

// What libopendkim says of each signature, in its order: "pass", or its word for what is wrong. records: key
// records by DNS name.
std::vector<std::string> oracle_verdicts(milter_dkim::HeaderList const& headers, std::string const& body,
                                         std::map<std::string, std::string> const& records);

} // namespace postern::test
