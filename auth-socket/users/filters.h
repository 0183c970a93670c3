// Dovecot 2.4's filters: %{user | lower | substr(0, 2)}.
#pragma once

#include "common/base/error.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// Absent: no such variable. Temporary error: one that has no value here, so that default() decides.
using VariableLookup = std::function<Result<std::optional<std::string>>(std::string_view name)>;

// What stands between the braces. Permanent error: a mistake in the text, which no value would mend;
// temporary: it does not fit this value ("not a number"), and no default() stands behind.
Result<std::string> evaluate(std::string_view inside, VariableLookup const& lookup);

// What 2.4 takes for plain text is written so that 2.3's rules take it for that: only "%{" begins a variable.
std::string with_braces_only(std::string_view text);

} // namespace postern::auth_socket
