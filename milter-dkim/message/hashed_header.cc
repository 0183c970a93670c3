// Chooses fields from the bottom up.
#include "milter-dkim/message/hashed_header.h"

#include "common/base/text.h"

#include <unordered_map>

namespace postern::milter_dkim {

std::string with_crlf(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 8);
    for (char const c : text) {
        if (c == '\n' && (out.empty() || out.back() != '\r')) out += '\r';
        out += c;
    }
    return out;
}

std::vector<FieldText> field_texts(HeaderList const& headers) {
    std::vector<FieldText> fields;
    fields.reserve(headers.size());
    for (auto const& [name, value] : headers) fields.push_back({name, name + ":" + with_crlf(value)});
    return fields;
}

std::string hashed_header(CanonicalForm form, std::span<std::string const> names,
                          std::span<FieldText const> fields) {
    // Strangers may name many of many fields: no search for each.
    std::unordered_map<std::string, std::vector<std::size_t>> left;
    for (std::size_t i = 0; i < fields.size(); ++i) left[to_lower(trim_right(fields[i].name))].push_back(i);
    std::string text;
    for (auto const& name : names) {
        auto const found = left.find(to_lower(name));
        if (found == left.end() || found->second.empty()) continue;
        text += canonical_field(form, fields[found->second.back()].octets) + "\r\n";
        found->second.pop_back();
    }
    return text;
}

std::string without_signature(std::string_view value) {
    for (auto const tag : split(value, ';')) {
        auto const halves = halve(tag, '=');
        if (!halves.after || trim(halves.before) != "b") continue;
        auto const begin = static_cast<std::size_t>(halves.after->data() - value.data());
        return std::string(value.substr(0, begin)) + std::string(value.substr(begin + halves.after->size()));
    }
    return std::string(value);
}

} // namespace postern::milter_dkim
