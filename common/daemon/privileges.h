// Users and groups by name, and giving up root for good.
#pragma once

#include "common/base/error.h"

#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace postern::daemon {

struct Identity {
    uid_t uid = 0;
    gid_t gid = 0;
    std::string name;          // empty for a bare number without an account
    std::vector<gid_t> groups; // supplementary ones
};

// "user", "user:group", numbers too. The error says which name is unknown.
Result<Identity> find_identity(std::string_view user_and_group);
Result<gid_t> find_group(std::string_view group);

// setgroups, setgid, setuid, and a check that root cannot be had back. Does nothing when not started by root.
Result<> become(Identity const& identity);
bool is_root();

} // namespace postern::daemon
