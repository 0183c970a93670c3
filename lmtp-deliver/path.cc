// Reads and writes mail paths.
#include "lmtp-deliver/path.h"

#include "common/base/text.h"

#include <algorithm>

namespace postern::lmtp_deliver {

namespace {

bool is_atext(char c) {
    return is_alnum(c) || static_cast<unsigned char>(c) >= 0x80 ||
           std::string_view("!#$%&'*+-/=?^_`{|}~").contains(c);
}
bool is_dot_atom(std::string_view text) {
    return !text.empty() && text.front() != '.' && text.back() != '.' && !text.contains("..") &&
           std::ranges::all_of(text, [](char c) { return c == '.' || is_atext(c); });
}
bool is_domain(std::string_view text) {
    for (auto const label : split(text, '.'))
        if (label.empty() || !std::ranges::all_of(label, [](char c) {
                return is_alnum(c) || c == '-' || c == '_' || static_cast<unsigned char>(c) >= 0x80;
            }))
            return false;
    return true;
}
bool is_literal(std::string_view text) {
    return text.size() > 2 && text.starts_with('[') && text.ends_with(']') &&
           std::ranges::all_of(text.substr(1, text.size() - 2),
                               [](char c) { return is_alnum(c) || c == ':' || c == '.' || c == '-'; });
}

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}
    std::expected<Path, PathMistake> path();

  private:
    using Step = std::expected<void, PathMistake>;
    bool at(char c) const { return text_.starts_with(c); }
    Step source_route();
    Step local_part(std::string& out);
    Step quoted_string(std::string& out);
    Step domain(std::string& out);
    std::string_view take_while(bool (*wanted)(char));

    std::string_view text_;
};

std::string_view Reader::take_while(bool (*wanted)(char)) {
    auto const end = std::ranges::find_if_not(text_, wanted);
    auto const taken = text_.substr(0, static_cast<std::size_t>(end - text_.begin()));
    text_.remove_prefix(taken.size());
    return taken;
}

// "@one,@two:" in front of the address.
Reader::Step Reader::source_route() {
    auto const colon = text_.find(':');
    auto const close = text_.find('>');
    if (colon == std::string_view::npos || colon > close) return std::unexpected(PathMistake::no_route_colon);
    for (auto hop : split(text_.substr(0, colon), ',')) {
        hop = trim(hop);
        if (!hop.starts_with('@') || !is_domain(hop.substr(1)))
            return std::unexpected(PathMistake::bad_route);
    }
    text_.remove_prefix(colon + 1);
    return {};
}

Reader::Step Reader::quoted_string(std::string& out) {
    for (std::size_t i = 1; i < text_.size(); ++i) {
        if (text_[i] == '"') {
            text_.remove_prefix(i + 1);
            return {};
        }
        if (text_[i] == '\\' && ++i == text_.size()) break;
        out += text_[i];
    }
    return std::unexpected(PathMistake::bad_quoted_string);
}

Reader::Step Reader::local_part(std::string& out) {
    if (at('"')) return quoted_string(out);
    out = take_while([](char c) { return c == '.' || is_atext(c); });
    if (out.empty() || (!text_.empty() && !at('@') && !at('>')))
        return std::unexpected(PathMistake::bad_local_part);
    return {};
}

Reader::Step Reader::domain(std::string& out) {
    out = take_while([](char c) { return c != '>' && c != '@' && c != ' '; });
    if (out.empty()) return std::unexpected(PathMistake::no_domain);
    if (!is_domain(out) && !is_literal(out)) return std::unexpected(PathMistake::bad_domain);
    return {};
}

std::expected<Path, PathMistake> Reader::path() {
    if (text_.empty()) return std::unexpected(PathMistake::empty);
    if (at(' ')) return std::unexpected(PathMistake::whitespace_before);
    if (!at('<')) return std::unexpected(PathMistake::no_opening);
    text_.remove_prefix(1);
    Path path;
    if (!at('>')) {
        if (at('@'))
            if (auto const done = source_route(); !done) return std::unexpected(done.error());
        if (auto const done = local_part(path.address.local_part); !done)
            return std::unexpected(done.error());
        if (at('@')) {
            text_.remove_prefix(1);
            if (auto const done = domain(path.address.domain); !done) return std::unexpected(done.error());
        }
    }
    if (!at('>')) return std::unexpected(PathMistake::no_closing);
    text_.remove_prefix(1);
    if (!text_.empty() && !at(' ')) return std::unexpected(PathMistake::bad_character);
    path.rest = trim(text_);
    return path;
}

} // namespace

std::string Address::to_string() const {
    if (is_null()) return {};
    std::string out;
    if (is_dot_atom(local_part)) {
        out = local_part;
    } else {
        out = '"';
        for (char const c : local_part) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
    }
    return domain.empty() ? out : out + '@' + domain;
}

bool Address::is_same_as(Address const& other) const {
    return local_part == other.local_part && equals_ignoring_case(domain, other.domain);
}

std::string_view to_string(PathMistake mistake) {
    switch (mistake) {
    case PathMistake::whitespace_before: return "Unexpected whitespace before path";
    case PathMistake::empty: return "Path is empty string";
    case PathMistake::no_opening: return "Missing '<' at beginning of path";
    case PathMistake::no_closing: return "Missing '>' at end of path";
    case PathMistake::no_route_colon: return "Missing ':' at end of source route";
    case PathMistake::bad_route: return "Invalid source route";
    case PathMistake::bad_character: return "Invalid character in path";
    case PathMistake::bad_local_part: return "Invalid character in localpart";
    case PathMistake::bad_quoted_string: return "Missing '\"' at end of quoted localpart";
    case PathMistake::bad_domain: return "Invalid character in domain";
    case PathMistake::no_domain: return "Missing domain after '@'";
    case PathMistake::null_path: return "Null path not allowed";
    }
    return "";
}

std::expected<Path, PathMistake> parse_path(std::string_view text) { return Reader(text).path(); }

Detail split_detail(Address const& address, std::string_view delimiters) {
    auto const cut = address.local_part.find_first_of(delimiters);
    if (cut == std::string::npos) return {address, ""};
    return {{address.local_part.substr(0, cut), address.domain}, address.local_part.substr(cut + 1)};
}

} // namespace postern::lmtp_deliver
