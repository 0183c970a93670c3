// dkim-quoted-printable (RFC 6376 2.11), as z=, ra= and rs= are written.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::milter_dkim {

// "|" is encoded too, as z= needs it.
std::string quoted_printable(std::string_view text);
// White space is nothing. Absent where a "=" is not followed by two hexadecimal digits.
std::optional<std::string> read_quoted_printable(std::string_view text);

} // namespace postern::milter_dkim
