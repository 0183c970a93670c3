// OK and FAIL lines: the one place where a login's outcome becomes words for the client.
#pragma once

#include "auth-socket/request.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::auth_socket {

std::string ok_line(std::uint32_t id, Request const& request, Outcome const& outcome,
                    std::string_view final_data);
// Postfix logs user= of a FAIL; it is there whenever the client named a user.
std::string fail_line(std::uint32_t id, Request const& request, Outcome const& outcome);

// FAILs about the protocol itself.
std::string protocol_fail_line(std::uint32_t id, std::string_view reason);
std::string bad_base64_line(std::uint32_t id, std::string_view which); // "initial", "continued"

} // namespace postern::auth_socket
