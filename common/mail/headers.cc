// The header section of a message as it came.
#include "common/mail/headers.h"

#include "common/base/text.h"
#include "common/mail/scanner.h"

#include <algorithm>

namespace postern::mail {

namespace {

// The line that begins at offset, with its line end.
std::string_view line_at(std::string_view text, std::size_t offset) {
    auto const end = text.find('\n', offset);
    return text.substr(offset, end == std::string_view::npos ? end : end - offset + 1);
}

bool is_empty_line(std::string_view line) { return line == "\n" || line == "\r\n"; }

// A name of printable characters before a colon, with blanks between allowed.
bool begins_a_field(std::string_view line) {
    auto const colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    auto const name = trim_right(line.substr(0, colon));
    return !name.empty() && std::ranges::all_of(name, [](char c) {
        return static_cast<unsigned char>(c) > 0x20 && c != 0x7f;
    });
}

} // namespace

HeaderField::HeaderField(std::string octets) : octets_(std::move(octets)) {
    colon_ = std::min(octets_.find(':'), octets_.size());
    name_length_ = trim_right(std::string_view(octets_).substr(0, colon_)).size();
}

HeaderField::HeaderField(std::string_view name, std::string_view value)
    : HeaderField(std::string(name) + ":" + std::string(value)) {}

std::string_view HeaderField::value() const {
    auto value = std::string_view(octets_).substr(std::min(colon_ + 1, octets_.size()));
    if (value.ends_with('\n')) value.remove_suffix(1);
    if (value.ends_with('\r')) value.remove_suffix(1);
    return value;
}

std::string HeaderField::unfolded_value() const { return std::string(trim(unfolded(value()))); }

bool HeaderField::is(std::string_view wanted) const { return equals_ignoring_case(name(), wanted); }

Result<Headers> Headers::parse(std::string_view section, HeaderLimits limits) {
    Headers headers(limits);
    std::string pending;
    std::size_t offset = 0;
    if (section.starts_with("From ")) offset = line_at(section, 0).size();
    while (offset < section.size()) {
        auto const line = line_at(section, offset);
        if (is_empty_line(line)) break;
        if (is_blank(line.front()) && !pending.empty()) {
            pending += line;
        } else if (begins_a_field(line)) {
            if (!pending.empty())
                if (auto added = headers.add(HeaderField(std::move(pending))); !added)
                    return std::unexpected(std::move(added.error()));
            pending = line;
        } else {
            return malformed("header line without a field name: " + printable(line, 60));
        }
        if (pending.size() > limits.octets) return permanent("header section too large");
        offset += line.size();
    }
    if (!pending.empty())
        if (auto added = headers.add(HeaderField(std::move(pending))); !added)
            return std::unexpected(std::move(added.error()));
    return headers;
}

Result<> Headers::add(HeaderField field) {
    if (fields_.size() >= limits_.fields) return permanent("too many header fields");
    if (octets_ + field.octets().size() > limits_.octets) return permanent("header section too large");
    octets_ += field.octets().size();
    fields_.push_back(std::move(field));
    return {};
}

std::size_t Headers::count(std::string_view name) const { return all(name).size(); }

HeaderField const* Headers::first(std::string_view name) const {
    for (auto const& field : fields_)
        if (field.is(name)) return &field;
    return nullptr;
}

std::vector<HeaderField const*> Headers::all(std::string_view name) const {
    std::vector<HeaderField const*> found;
    for (auto const& field : fields_)
        if (field.is(name)) found.push_back(&field);
    return found;
}

std::size_t body_offset(std::string_view message) {
    for (std::size_t offset = 0; offset < message.size();) {
        auto const line = line_at(message, offset);
        offset += line.size();
        if (is_empty_line(line)) return offset;
    }
    return message.size();
}

} // namespace postern::mail
