// Text in ASCII, without locale: case, blanks, pieces and numbers, as mail protocols and files mean them.
#pragma once

#include <charconv>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_alpha(char c) { return is_upper(c) || is_lower(c); }
constexpr bool is_alnum(char c) { return is_alpha(c) || is_digit(c); }
constexpr bool is_blank(char c) { return c == ' ' || c == '\t'; }
constexpr bool is_space(char c) { return is_blank(c) || c == '\r' || c == '\n' || c == '\v' || c == '\f'; }
constexpr bool is_printable(char c) { return c >= 0x20 && c < 0x7f; }
constexpr char lower(char c) { return is_upper(c) ? static_cast<char>(c + ('a' - 'A')) : c; }
constexpr char upper(char c) { return is_lower(c) ? static_cast<char>(c - ('a' - 'A')) : c; }

std::string to_lower(std::string_view text); // A to Z only; other octets stay
std::string to_upper(std::string_view text);

bool equals_ignoring_case(std::string_view a, std::string_view b);
bool starts_with_ignoring_case(std::string_view text, std::string_view prefix);
bool ends_with_ignoring_case(std::string_view text, std::string_view suffix);

std::string_view trim(std::string_view text);       // blanks and line ends, on both sides
std::string_view trim_left(std::string_view text);  // on the left
std::string_view trim_right(std::string_view text); // on the right

// All pieces between separators, empty ones too: "a,,b" is three. No separator gives the whole text.
std::vector<std::string_view> split(std::string_view text, char separator);
// The pieces between runs of any of the separators; no empty pieces: "a, b" by ", " is two.
std::vector<std::string_view> split_words(std::string_view text, std::string_view separators = " \t\r\n");
// What stands before and after the first separator; the second is absent when there is none.
struct Halves {
    std::string_view before;
    std::optional<std::string_view> after;
};
Halves halve(std::string_view text, char separator);
Halves halve_at_last(std::string_view text, char separator);

std::string join(std::vector<std::string> const& pieces, std::string_view separator);
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

// The whole text as a number; absent on an empty text, a sign that T has no room for, a rest, or overflow.
template <class T>
std::optional<T> parse_number(std::string_view text, int base = 10) {
    T value{};
    auto const* end = text.data() + text.size();
    auto [stop, error] = std::from_chars(text.data(), end, value, base);
    if (error != std::errc{} || stop != end || text.empty()) return std::nullopt;
    return value;
}

// A stranger's octets made fit for one log line: controls and 8-bit as \xNN, cut with "..." after limit
// octets.
std::string printable(std::string_view text, std::size_t limit = 200);

// The candidate nearest to a mistyped name (edit distance at most 3 and under half its length), or none.
std::optional<std::string_view> nearest_name(std::string_view name,
                                             std::vector<std::string_view> const& candidates);

} // namespace postern
