// Macro strings.
#include "common/spf/macro.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace postern::spf {

namespace {

constexpr std::size_t max_name = 253;
constexpr std::string_view delimiter_characters = ".-+,/_=";

std::unexpected<Error> bad_character(std::string_view whole) {
    return permanent(fmt::format("invalid-macro-char : {}", halve(whole, '.').before));
}

// RFC 3986 unreserved characters stay.
std::string url_escaped(std::string_view text) {
    std::string out;
    for (char const c : text)
        if (is_alnum(c) || std::string_view("-._~").contains(c))
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    return out;
}

// RFC 7208 7.3: split at the delimiters, reverse, keep the right-hand parts, join with dots.
std::string transformed(std::string_view value, std::string_view delimiters, bool reverse,
                        unsigned right_parts) {
    std::vector<std::string> parts(1);
    for (char const c : value)
        if (delimiters.contains(c))
            parts.emplace_back();
        else
            parts.back() += c;
    if (reverse) std::ranges::reverse(parts);
    if (right_parts != 0 && right_parts < parts.size())
        parts.erase(parts.begin(), parts.end() - static_cast<std::ptrdiff_t>(right_parts));
    return join(parts, ".");
}

// toplabel = ( *alphanum ALPHA *alphanum ) / ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
bool is_top_label(std::string_view label) {
    if (label.empty() || !is_alnum(label.front()) || !is_alnum(label.back())) return false;
    bool letter_or_hyphen = false;
    for (char const c : label) {
        if (!is_alnum(c) && c != '-') return false;
        letter_or_hyphen = letter_or_hyphen || !is_digit(c);
    }
    return letter_or_hyphen;
}

} // namespace

Result<MacroString> MacroString::parse(std::string_view text, Place place) {
    MacroString out;
    out.text_ = text;
    std::string literal;
    auto const end_literal = [&] {
        if (!literal.empty()) out.pieces_.push_back({.literal = std::move(literal)});
        literal.clear();
    };
    for (std::size_t at = 0; at < text.size(); ++at) {
        char const c = text[at];
        bool const fits = is_printable(c) && (c != ' ' || place == Place::explanation);
        if (!fits) return bad_character(text);
        if (c != '%') {
            literal += c;
            continue;
        }
        end_literal();
        char const next = at + 1 < text.size() ? text[at + 1] : '\0';
        if (next == '{') {
            auto const close = text.find('}', at);
            if (close == std::string_view::npos) return bad_character(text);
            auto macro = parse_macro(text.substr(at + 2, close - at - 2), text, place);
            if (!macro) return std::unexpected(std::move(macro.error()));
            out.pieces_.push_back(std::move(*macro));
            at = close;
        } else {
            // A piece of its own: domain-end may be one of these.
            if (next != '%' && next != '_' && next != '-') return bad_character(text);
            out.pieces_.push_back({.literal = next == '%' ? "%" : next == '_' ? " " : "%20"});
            ++at;
        }
    }
    end_literal();
    return out;
}

// macro-letter transformers *delimiter; inside is what stands between "%{" and "}".
Result<MacroString::Piece> MacroString::parse_macro(std::string_view inside, std::string_view whole,
                                                    Place place) {
    if (inside.empty()) return bad_character(whole);
    Piece piece;
    piece.letter = lower(inside.front());
    piece.url_escape = is_upper(inside.front());
    auto const shown = fmt::format("%{{{}}}", inside);
    if (!std::string_view("slodipvhcrt").contains(piece.letter))
        return permanent("Unknown Macro Encountered: " + shown);
    if (place == Place::domain && std::string_view("crt").contains(piece.letter))
        return permanent("c,r,t macros allowed in exp= text only: " + shown);
    inside.remove_prefix(1);
    auto const digits = std::min(inside.find_first_not_of("0123456789"), inside.size());
    if (digits > 0) {
        constexpr unsigned all = 255; // RFC 7208 7.3: at least 128 must be supported
        piece.right_parts = digits > 4 ? all : parse_number<unsigned>(inside.substr(0, digits)).value_or(all);
        if (inside.substr(0, digits).find_first_not_of('0') == std::string_view::npos)
            return bad_character(whole);
    }
    inside.remove_prefix(digits);
    piece.reverse = !inside.empty() && lower(inside.front()) == 'r';
    if (piece.reverse) inside.remove_prefix(1);
    if (inside.find_first_not_of(delimiter_characters) != std::string_view::npos) return bad_character(whole);
    piece.delimiters = inside;
    return piece;
}

Result<MacroString> MacroString::parse_domain_spec(std::string_view text) {
    auto parsed = parse(text, Place::domain);
    if (parsed && !parsed->ends_well())
        return permanent(fmt::format("Invalid domain found (use FQDN): {}", text));
    return parsed;
}

bool MacroString::has_macro() const {
    return std::ranges::any_of(pieces_, [](Piece const& piece) { return piece.letter != 0; });
}

bool MacroString::ends_well() const {
    if (pieces_.empty()) return false;
    auto const& last = pieces_.back();
    // No literal of a domain-spec holds '%' or a space, so these three were escapes.
    if (last.letter != 0 || last.literal == "%" || last.literal == " " || last.literal == "%20") return true;
    std::string_view tail = last.literal;
    if (tail.ends_with('.')) tail.remove_suffix(1);
    auto const label = halve_at_last(tail, '.').after;
    return label && is_top_label(*label);
}

std::string MacroString::expand(MacroValue const& value) const {
    std::string out;
    for (auto const& piece : pieces_) {
        if (piece.letter == 0) {
            out += piece.literal;
        } else {
            auto text = value(piece.letter);
            if (piece.right_parts != 0 || piece.reverse || !piece.delimiters.empty())
                text = transformed(text, piece.delimiters.empty() ? "." : piece.delimiters, piece.reverse,
                                   piece.right_parts);
            out += piece.url_escape ? url_escaped(text) : text;
        }
        if (out.size() > max_expansion) break;
    }
    out.resize(std::min(out.size(), max_expansion));
    return out;
}

std::string MacroString::expand_domain(MacroValue const& value) const {
    auto name = expand(value);
    if (name.ends_with('.')) name.pop_back();
    while (name.size() > max_name) {
        auto const dot = name.find('.');
        if (dot == std::string::npos) break;
        name.erase(0, dot + 1);
    }
    return name;
}

} // namespace postern::spf
