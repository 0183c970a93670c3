// User and group ids, which Dovecot takes as names, too.
#pragma once

#include <optional>
#include <string>

namespace postern::auth_socket {

// As a decimal number. Absent: there is no such name.
std::optional<std::string> uid_number(std::string const& value);
std::optional<std::string> gid_number(std::string const& value);

} // namespace postern::auth_socket
