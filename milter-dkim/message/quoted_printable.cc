// Writes and reads it.
#include "milter-dkim/message/quoted_printable.h"

#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::milter_dkim {

std::string quoted_printable(std::string_view text) {
    std::string out;
    for (char const c : text) {
        if (c > 0x20 && c < 0x7f && c != ';' && c != '=' && c != '|')
            out += c;
        else
            out += fmt::format("={:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

std::optional<std::string> read_quoted_printable(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (is_space(text[i])) continue;
        if (text[i] != '=') {
            out += text[i];
            continue;
        }
        auto const octet = hex_decode(text.substr(i + 1, 2));
        if (!octet || octet->size() != 1) return std::nullopt;
        out += *octet;
        i += 2;
    }
    return out;
}

} // namespace postern::milter_dkim
