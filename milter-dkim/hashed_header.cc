// Chooses fields from the bottom up.
#include "milter-dkim/hashed_header.h"

#include "common/base/text.h"

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
    std::string text;
    std::vector<bool> used(fields.size(), false);
    for (auto const& name : names)
        for (auto i = fields.size(); i-- > 0;) {
            if (used[i] || !equals_ignoring_case(fields[i].name, name)) continue;
            used[i] = true;
            text += canonical_field(form, fields[i].octets) + "\r\n";
            break;
        }
    return text;
}

} // namespace postern::milter_dkim
