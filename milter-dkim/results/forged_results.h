// Authentication-Results that claim to be ours in mail that comes from elsewhere (RFC 8601 5).
#pragma once

#include "milter-dkim/configuration.h"
#include "milter-dkim/message/message_facts.h"

#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// Blanks before the colon belong to the name as some MTAs pass it on, and do not change what a reader sees.
bool is_results_name(std::string_view name);

// Whether a reader might take the field for one of ours, or for one of RemoveARFrom. ours: our
// authserv-id.
bool claims_ours(Configuration const& configuration, std::string_view ours, std::string_view value);

// Of each Authentication-Results field, from the top, whether it is forged; none with KeepAuthResults.
std::vector<bool> forged_results(Configuration const& configuration, std::string_view ours,
                                 HeaderList const& headers);

} // namespace postern::milter_dkim
