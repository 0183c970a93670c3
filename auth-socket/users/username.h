// What a client calls its user becomes the name that the databases are asked for.
#pragma once

#include "auth-socket/request.h"
#include "common/base/error.h"

#include <string>
#include <string_view>

namespace postern::auth_socket {

struct UsernameRules {
    std::string default_realm;
    std::string translation; // pairs: "#@/@" turns '#' and '/' into '@'
    std::string chars = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ01234567890.-_@"; // empty: all
    std::string format = "%Lu"; // empty: as it is
    std::string master_separator;
};

// Realm, translation, characters, format, in this order. Permanent error: the name is refused, and why.
Result<std::string> normalised_user(std::string_view name, UsernameRules const& rules,
                                    Request const& request);

} // namespace postern::auth_socket
