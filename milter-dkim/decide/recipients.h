// Data sets of recipients that change how a message is signed.
#pragma once

#include "milter-dkim/configuration.h"
#include "milter-dkim/decide/reasons.h"

#include <optional>
#include <string>
#include <vector>

namespace postern::milter_dkim {

// The first recipient whose mail is not signed (DontSignMailTo).
std::optional<std::string> unsigned_recipient(Configuration const& configuration,
                                              std::vector<std::string> const& recipients, Reasons& reasons);

// The first recipient whose mail is signed with l= (BodyLengthDB): asked for as user@host and *@host, the
// same with each ".parent" for the host, user@* and *.
std::optional<std::string> length_recipient(Configuration const& configuration,
                                            std::vector<std::string> const& recipients, Reasons& reasons);

} // namespace postern::milter_dkim
