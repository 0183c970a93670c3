// The settings as python policyd-spf logs them.
#pragma once

#include "policyd-spf/settings.h"

#include <string>

namespace postern::policyd_spf {

// "{'debugLevel': 3, 'HELO_reject': 'Fail', ...}": stock's settings with a default in stock's order, then the
// others in the order of the file. Without the milter's settings, which have no effect here.
std::string config_line(Settings const& settings);

} // namespace postern::policyd_spf
