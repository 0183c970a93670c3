// Makes the databases that a configuration names.
#pragma once

#include "auth-socket/helper/helper.h"
#include "auth-socket/settings.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <memory>
#include <vector>

namespace postern::auth_socket {

// Reads the files that the blocks name. Null when there is an error among the problems it adds.
std::shared_ptr<Authenticator const> load_users(Settings const& settings, Helper const& helper,
                                                FairSlots& hashing, Log& log, Metrics& metrics,
                                                std::vector<config::Problem>& problems);

} // namespace postern::auth_socket
