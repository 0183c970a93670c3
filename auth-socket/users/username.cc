// User names as the databases are asked for them.
#include "auth-socket/users/username.h"

#include "auth-socket/users/variables.h"
#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::auth_socket {

namespace {

char translated(char c, std::string_view pairs) {
    for (std::size_t i = 0; i + 1 < pairs.size(); i += 2)
        if (pairs[i] == c) return pairs[i + 1];
    return c;
}

} // namespace

Result<std::string> normalised_user(std::string_view name, UsernameRules const& rules,
                                    Request const& request) {
    std::string user(name);
    if (!user.contains('@') && !rules.default_realm.empty() && !user.empty())
        user += "@" + rules.default_realm;
    for (auto& c : user) {
        c = translated(c, rules.translation);
        if (c == '\0' || (!rules.chars.empty() && !rules.chars.contains(c)))
            return permanent(
                fmt::format("Username character disallowed by auth_username_chars: 0x{:02x} (username: {})",
                            static_cast<unsigned char>(c), printable(name)));
    }
    if (rules.format == "%Lu" || rules.format == "%{user | lower}") { // the defaults
        user = to_lower(user);
    } else if (!rules.format.empty()) {
        auto asking = request;
        asking.user = user;
        auto made = expand(rules.format, asking);
        if (!made) return made;
        user = std::move(*made);
    }
    if (user.empty()) return permanent("Empty username");
    return user;
}

} // namespace postern::auth_socket
