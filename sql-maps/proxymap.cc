// Attribute lists to bytes and back.
#include "sql-maps/proxymap.h"

#include <fmt/format.h>

namespace postern::sql_maps {

std::string encode(Attributes const& attributes) {
    std::string out;
    for (auto const& [name, value] : attributes) {
        out.append(name).push_back('\0');
        out.append(value).push_back('\0');
    }
    out.push_back('\0');
    return out;
}

std::string_view value_of(Attributes const& attributes, std::string_view name) {
    for (auto const& [key, value] : attributes)
        if (key == name) return value;
    return {};
}

// Each octet is looked at once, however small the pieces are that bring it.
Result<std::optional<Attributes>> AttributeDecoder::next() {
    while (true) {
        auto const end = buffer_.find('\0', scanned_);
        bool const whole = end != std::string::npos;
        if ((whole ? end + 1 : buffer_.size()) > max_list)
            return malformed(fmt::format("a request is longer than {} octets", max_list));
        if (!whole) return std::nullopt;
        auto text = buffer_.substr(scanned_, end - scanned_);
        scanned_ = end + 1;
        if (name_) {
            attributes_.emplace_back(std::move(*name_), std::move(text));
            name_.reset();
        } else if (text.empty()) {
            return ended_at(scanned_);
        } else if (attributes_.size() == max_attributes) {
            return malformed(fmt::format("a request has more than {} attributes", max_attributes));
        } else {
            name_ = std::move(text);
        }
    }
}

Result<std::optional<Attributes>> AttributeDecoder::ended_at(std::size_t end) {
    buffer_.erase(0, end);
    scanned_ = 0;
    return std::exchange(attributes_, {});
}

} // namespace postern::sql_maps
