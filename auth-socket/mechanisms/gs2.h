// Names in a GS2 header (RFC 5801), which SCRAM and OAUTHBEARER share.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// RFC 5801 section 4: "=2C" is a comma, "=3D" an equals sign, and no other '=' may stand in a name.
std::optional<std::string> gs2_name(std::string_view text);

} // namespace postern::auth_socket
