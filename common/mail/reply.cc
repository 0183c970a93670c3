// Writes replies.
#include "common/mail/reply.h"

#include <fmt/format.h>

namespace postern::mail {

namespace {

std::string one_line(std::string line) {
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    if (line.size() > max_reply_line - 2) line.resize(max_reply_line - 2);
    return line + "\r\n";
}

} // namespace

std::string Reply::to_wire() const {
    if (enhanced.empty()) return one_line(fmt::format("{} {}", code, text));
    return one_line(fmt::format("{} {} {}", code, enhanced, text));
}

std::string multiline_reply(int code, std::vector<std::string> const& lines) {
    std::string out;
    for (std::size_t i = 0; i < lines.size(); ++i)
        out += one_line(fmt::format("{}{}{}", code, i + 1 < lines.size() ? '-' : ' ', lines[i]));
    return out;
}

} // namespace postern::mail
