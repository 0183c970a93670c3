// The table of SASL mechanisms.
#include "auth-socket/mechanisms/mechanism.h"

namespace postern::auth_socket {

std::vector<MechanismKind> const& mechanism_kinds() {
    static std::vector<MechanismKind> const kinds{
        {"PLAIN", "plaintext", true, make_plain},
        {"LOGIN", "plaintext", true, make_login},
    };
    return kinds;
}

MechanismKind const* find_mechanism(std::string_view name) {
    for (auto const& kind : mechanism_kinds())
        if (kind.name == name) return &kind;
    return nullptr;
}

} // namespace postern::auth_socket
