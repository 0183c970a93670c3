// Names in a GS2 header.
#include "auth-socket/mechanisms/gs2.h"

namespace postern::auth_socket {

std::optional<std::string> gs2_name(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\0') return std::nullopt;
        if (text[i] != '=') {
            out += text[i];
            continue;
        }
        auto const code = text.substr(i, 3);
        if (code != "=2C" && code != "=3D") return std::nullopt;
        out += code == "=2C" ? ',' : '=';
        i += 2;
    }
    return out;
}

} // namespace postern::auth_socket
