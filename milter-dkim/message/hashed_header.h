// RFC 6376 3.7: the canonical header text that a signature covers.
#pragma once

#include "milter-dkim/message/canonical.h"
#include "milter-dkim/message/message_facts.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

struct FieldText {
    std::string name;   // as received
    std::string octets; // "Name: value", CRLF between lines
};

// values: with what stood behind the colon, lines joined with "\n" or "\r\n".
std::vector<FieldText> field_texts(HeaderList const& headers);
std::string with_crlf(std::string_view text);

// The fields that names (h=) chooses, a CRLF behind each: of fields with one name the lowest comes first, a
// name without a field is nothing (5.4.2).
std::string hashed_header(CanonicalForm form, std::span<std::string const> names,
                          std::span<FieldText const> fields);

// The value of a DKIM-Signature field as it was signed: with nothing behind its "b=".
std::string without_signature(std::string_view value);

} // namespace postern::milter_dkim
