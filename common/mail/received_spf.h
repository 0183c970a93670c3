// The Received-SPF header field (RFC 7208 9.1): read from hostile headers, and made.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::mail {

inline constexpr std::string_view received_spf_name = "Received-SPF";

struct ReceivedSpf {
    std::string
        result; // "pass", "fail", "softfail", "neutral", "none", "temperror", "permerror"; lower when read
    std::string comment;
    std::vector<std::pair<std::string, std::string>> pairs; // in order; keys lower case when read

    // Absent when the key is not there and when it is there twice with different values.
    std::optional<std::string_view> value(std::string_view key) const;
    bool operator==(ReceivedSpf const&) const = default;
};

inline constexpr std::size_t max_received_spf_pairs = 50;

// Values may be bare where RFC 7208 wants quotes (envelope-from=a@b, "<>", VERP's "="), since that is what is
// out there. An unknown result, unbalanced quotes or comments and a part without "=" are malformed.
Result<ReceivedSpf> read_received_spf(std::string_view value);

// "Pass (comment) key=value; key=value": the result with a capital, values quoted where they could be
// misread.
std::string make_received_spf(ReceivedSpf const& field);

} // namespace postern::mail
