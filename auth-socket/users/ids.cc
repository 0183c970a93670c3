// User and group ids.
#include "auth-socket/users/ids.h"

#include "common/base/text.h"

#include <array>

#include <grp.h>
#include <pwd.h>

namespace postern::auth_socket {

std::optional<std::string> uid_number(std::string const& value) {
    if (parse_number<uid_t>(value)) return value;
    std::array<char, 16384> buffer{};
    passwd entry{};
    passwd* found = nullptr;
    if (getpwnam_r(value.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return std::nullopt;
    return std::to_string(found->pw_uid);
}

std::optional<std::string> gid_number(std::string const& value) {
    if (parse_number<gid_t>(value)) return value;
    std::array<char, 16384> buffer{};
    group entry{};
    group* found = nullptr;
    if (getgrnam_r(value.c_str(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return std::nullopt;
    return std::to_string(found->gr_gid);
}

} // namespace postern::auth_socket
