// Lines, quoted.
#include "sql-maps/tcp_table.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::sql_maps {

Result<std::optional<std::string>> LineDecoder::next() {
    auto const end = buffer_.find('\n');
    if ((end == std::string::npos ? buffer_.size() : end + 1) > max_tcp_line)
        return malformed(fmt::format("a request is longer than {} octets", max_tcp_line));
    if (end == std::string::npos) return std::nullopt;
    auto line = buffer_.substr(0, end);
    buffer_.erase(0, end + 1);
    return line;
}

std::string tcp_quoted(std::string_view text) {
    std::string out;
    for (char const c : text)
        if (c == '%' || c == ' ' || !is_printable(c))
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
        else
            out += c;
    return out;
}

std::optional<std::string> tcp_unquoted(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i];
            continue;
        }
        auto const digits = text.substr(i + 1, 2);
        auto const octet = parse_number<unsigned char>(digits, 16);
        if (digits.size() != 2 || !octet) return std::nullopt;
        out += static_cast<char>(*octet);
        i += 2;
    }
    return out;
}

std::string tcp_reply(Result<Answer> const& answer) {
    if (!answer) return "400 the%20database%20could%20not%20be%20asked\n";
    if (!*answer || (*answer)->empty()) return "500 not%20found\n";
    auto const reply = fmt::format("200 {}\n", tcp_quoted(**answer));
    return reply.size() > max_tcp_line ? "400 the%20answer%20is%20too%20long\n" : reply;
}

} // namespace postern::sql_maps
