// A DKIM-Signature field as a stranger wrote it (RFC 6376 3.2 and 3.5), read strictly before any library sees
// it.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter_dkim {

inline constexpr std::string_view signature_name = "DKIM-Signature";

// name=value; name=value. Values without white space around them. Malformed: a name that is none, a missing
// "=", a name twice (RFC 6376 3.2: such a list is invalid).
struct TagList {
    std::vector<std::pair<std::string, std::string>> tags;

    static Result<TagList> parse(std::string_view text);
    std::optional<std::string_view> find(std::string_view name) const;
};

inline constexpr std::size_t max_signature_field = 32768; // octets; z= of a large header included

// What is wrong with the field, in words for Authentication-Results, or nothing. What is right by this may
// still be wrong for the verifier.
struct SignatureField {
    TagList tags;
    std::string error;

    static SignatureField read(std::string_view value);
    std::string tag(std::string_view name) const; // empty when absent
    std::string signature() const;                // b= without white space
};

} // namespace postern::milter_dkim
