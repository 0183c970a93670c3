// Netstrings, bounded.
#include "sql-maps/socketmap.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::sql_maps {

Result<std::optional<std::string>> NetstringDecoder::next() {
    constexpr std::size_t max_digits = 6;
    auto const colon = buffer_.find(':');
    auto const digits = std::string_view(buffer_).substr(0, colon);
    bool const bad =
        digits.size() > max_digits || digits.find_first_not_of("0123456789") != std::string::npos;
    if (bad || colon == 0) return malformed("a request does not begin with the length of a netstring");
    if (colon == std::string::npos) return std::nullopt;
    auto const size = parse_number<std::size_t>(digits).value_or(max_request + 1);
    if (size > max_request) return malformed(fmt::format("a request is longer than {} octets", max_request));
    if (buffer_.size() < colon + 1 + size + 1) return std::nullopt;
    if (buffer_[colon + 1 + size] != ',') return malformed("a netstring does not end with a comma");
    auto payload = buffer_.substr(colon + 1, size);
    buffer_.erase(0, colon + 1 + size + 1);
    return payload;
}

std::string netstring(std::string_view payload) { return fmt::format("{}:{},", payload.size(), payload); }

std::string socketmap_reply(Result<Answer> const& answer) {
    if (!answer) return netstring("TEMP the database could not be asked");
    if (!*answer || (*answer)->empty()) return netstring("NOTFOUND ");
    auto const reply = "OK " + **answer;
    return netstring(reply.size() > max_socketmap_reply ? "TEMP the answer is too long" : reply);
}

} // namespace postern::sql_maps
