// RequiredHeaders: the counts of header fields that RFC 5322 3.6 wants.
#pragma once

#include "common/mail/headers.h"

#include <optional>
#include <string>

namespace postern::milter_dmarc {

// What is wrong, "not exactly one Date field"; absent when all is as it must be.
std::optional<std::string> requirement_error(mail::Headers const& headers);

// Whether a field of this name matters to anything here; others need not be kept.
bool is_kept_field(std::string_view name);

} // namespace postern::milter_dmarc
