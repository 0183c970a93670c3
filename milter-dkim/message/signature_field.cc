// The strict reader of tag lists.
#include "milter-dkim/message/signature_field.h"

#include "common/base/text.h"

#include <algorithm>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t max_name = 63;      // of a domain label chain's selector part, and of tag names
constexpr std::size_t max_domain = 253;   // RFC 1035
constexpr std::size_t max_identity = 255; // libopendkim's MAXADDRESS

bool is_tag_name(std::string_view name) {
    if (name.empty() || name.size() > max_name || !is_alpha(name.front())) return false;
    return std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '_'; });
}

bool is_host(std::string_view text) {
    if (text.empty() || text.size() > max_domain || text.front() == '.' || text.back() == '.' ||
        text.contains(".."))
        return false;
    return std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
}

// RFC 6376 3.5: at most 12 digits for times; body lengths up to 76. More than 19 overflow every reader.
bool is_count(std::string_view text) {
    return !text.empty() && text.size() <= 18 && std::ranges::all_of(text, is_digit);
}

std::string fault_of(SignatureField const& field) {
    for (auto const* name : {"v", "a", "b", "bh", "d", "h", "s"})
        if (!field.tags.find(name)) return std::string("missing ") + name + "=";
    if (field.tag("v") != "1") return "unsupported version";
    if (!is_host(field.tag("d"))) return "invalid d=";
    if (!is_host(field.tag("s"))) return "invalid s=";
    for (auto const* name : {"t", "x", "l"})
        if (auto const value = field.tags.find(name); value && !is_count(*value))
            return std::string("invalid ") + name + "=";
    if (auto const identity = field.tags.find("i")) {
        if (identity->size() > max_identity) return "invalid i=";
        if (std::ranges::any_of(
                *identity, [](char c) { return !is_printable(c) && static_cast<unsigned char>(c) < 0x80; }))
            return "invalid i=";
    }
    return {};
}

} // namespace

Result<TagList> TagList::parse(std::string_view text) {
    TagList list;
    for (auto const piece : split(text, ';')) {
        auto const spec = trim(piece);
        if (spec.empty()) {
            // Only the last one may be empty; "a=b;;c=d" is no tag-list.
            if (piece.data() + piece.size() != text.data() + text.size()) return malformed("empty tag");
            continue;
        }
        auto const halves = halve(spec, '=');
        auto const name = trim(halves.before);
        if (!halves.after || !is_tag_name(name)) return malformed("not a tag list");
        if (list.find(name)) return malformed("duplicate tag");
        list.tags.emplace_back(name, trim(*halves.after));
    }
    return list;
}

std::optional<std::string_view> TagList::find(std::string_view name) const {
    for (auto const& [each, value] : tags)
        if (each == name) return value;
    return std::nullopt;
}

SignatureField SignatureField::read(std::string_view value) {
    SignatureField field;
    if (value.size() > max_signature_field) {
        field.error = "signature field too large";
        return field;
    }
    if (value.contains('\0')) {
        field.error = "NUL in signature field";
        return field;
    }
    auto tags = TagList::parse(value);
    if (!tags) {
        field.error = tags.error().text;
        return field;
    }
    field.tags = std::move(*tags);
    field.error = fault_of(field);
    return field;
}

std::string SignatureField::tag(std::string_view name) const {
    return std::string(tags.find(name).value_or(""));
}

std::string SignatureField::signature() const {
    std::string out;
    for (char const c : tag("b"))
        if (!is_space(c)) out += c;
    return out;
}

} // namespace postern::milter_dkim
