// Makes the databases that a configuration names.
#pragma once

#include "auth-socket/helper/helper.h"
#include "auth-socket/settings.h"
#include "common/base/log.h"
#include "common/base/metrics.h"

#include <memory>
#include <vector>

namespace postern::auth_socket {

struct Users {
    std::shared_ptr<Authenticator const> authenticator; // null when a problem is an error
    std::shared_ptr<AuthCache> cache;                   // null when there is none
    std::string token_scope, openid_configuration;      // of the first passdb for access tokens
};

// Reads the files that the blocks name. Problems are added.
Users load_users(Settings const& settings, Helper const& helper, Hashing& hashing, Log& log, Metrics& metrics,
                 std::vector<config::Problem>& problems);

} // namespace postern::auth_socket
