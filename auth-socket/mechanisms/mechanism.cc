// The table of SASL mechanisms.
#include "auth-socket/mechanisms/mechanism.h"

namespace postern::auth_socket {

std::vector<MechanismKind> const& mechanism_kinds() {
    static std::vector<MechanismKind> const kinds{
        {"PLAIN", "plaintext", true, make_plain},
        {"LOGIN", "plaintext", true, make_login},
        {"CRAM-MD5", "dictionary\tactive", false, make_cram_md5},
        {"DIGEST-MD5", "dictionary\tactive\tmutual-auth", false, make_digest_md5},
        {"SCRAM-SHA-1", "mutual-auth", false, make_scram_sha_1},
        {"SCRAM-SHA-256", "mutual-auth", false, make_scram_sha_256},
        {"EXTERNAL", "", false, make_external},
        {"ANONYMOUS", "anonymous", false, make_anonymous},
        {"OAUTHBEARER", "plaintext", true, make_oauthbearer},
        {"XOAUTH2", "plaintext", true, make_xoauth2},
    };
    return kinds;
}

MechanismKind const* find_mechanism(std::string_view name) {
    for (auto const& kind : mechanism_kinds())
        if (kind.name == name) return &kind;
    return nullptr;
}

} // namespace postern::auth_socket
