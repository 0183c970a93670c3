// Settings and texts as Python's repr() shows them, which is how they stand in python policyd-spf's log.
#pragma once

#include "policyd-spf/settings.h"

#include <string>
#include <string_view>

namespace postern::policyd_spf {

// 'text', or "text" where it has a ' and no "; the mark and \ inside it are escaped.
std::string quoted(std::string_view text);

// "{'debugLevel': 3, 'HELO_reject': 'Fail', ...}": stock's settings with a default in stock's order, then the
// others in the order of the file. Without the milter's settings, which have no effect here.
std::string config_line(Settings const& settings);

} // namespace postern::policyd_spf
