// libopendkim's numbers for what is wrong with a signature (DKIM_SIGERROR_* of its dkim.h), as statistics,
// reports and scripts carry them.
#pragma once

#include <string_view>

namespace postern::milter_dkim {

// words: a fixed text of a result's reason or why; empty: nothing is wrong. Unknown words give -1.
int signature_error(std::string_view words);

} // namespace postern::milter_dkim
