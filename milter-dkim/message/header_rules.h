// RFC 5322 3.6: how often the fields of a header may stand there.
#pragma once

#include "milter-dkim/message/message_facts.h"

#include <optional>
#include <string>

namespace postern::milter_dkim {

// What RequiredHeaders refuses a message for, in the words of its reply.
std::optional<std::string> required_headers_fault(HeaderList const& headers);
// What makes a message malformed with StrictHeaders.
std::optional<std::string> strict_headers_fault(HeaderList const& headers);

} // namespace postern::milter_dkim
