// Lookups that came at the same time, asked of their database together.
#pragma once

#include "common/net/crowd.h"

#include <vector>

namespace postern::sql_maps {

// For a crowd whose sessions are ProxymapSessions. No lookup waits for one in another database, nor long for
// one in its own: what might be held up is handed over to another worker.
void answer_together(net::Crowd& crowd, std::vector<net::Crowd::Turn> turns);

} // namespace postern::sql_maps
