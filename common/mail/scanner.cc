// Reads the lexical tokens of structured header fields.
#include "common/mail/scanner.h"

#include "common/base/text.h"

namespace postern::mail {

bool Scanner::take(char c) {
    if (at_end() || text_[position_] != c) return false;
    ++position_;
    return true;
}

bool Scanner::skip_blanks() {
    auto const is_skipped = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    return !take_while(is_skipped).empty();
}

Result<> Scanner::skip_cfws(std::string* comment) {
    while (true) {
        skip_blanks();
        if (peek() != '(') return {};
        auto contents = take_comment();
        if (!contents) return std::unexpected(std::move(contents.error()));
        if (comment != nullptr) *comment = std::move(*contents);
    }
}

Result<std::string> Scanner::take_comment() {
    std::string contents;
    int depth = 0;
    while (!at_end()) {
        char const c = text_[position_++];
        if (c == '(' && ++depth > max_comment_depth) return malformed("comments nested too deep");
        if (c == ')' && --depth == 0) return contents;
        if (c == '\\' && !at_end())
            contents += text_[position_++];
        else if (c != '\r' && c != '\n' && !(c == '(' && depth == 1))
            contents += c;
    }
    return malformed("comment without end");
}

Result<std::string> Scanner::quoted_string() {
    std::string contents;
    if (!take('"')) return malformed("no quoted string");
    while (!at_end()) {
        char const c = text_[position_++];
        if (c == '"') return contents;
        if (c == '\\' && !at_end())
            contents += text_[position_++];
        else if (c != '\r' && c != '\n')
            contents += c;
    }
    return malformed("quoted string without end");
}

namespace {

std::string with_backslashes(std::string_view text, std::string_view before) {
    std::string out;
    for (char const c : text) {
        if (before.contains(c)) out += '\\';
        auto const octet = static_cast<unsigned char>(c);
        out += octet < 0x20 || octet == 0x7f ? '?' : c;
    }
    return out;
}

} // namespace

std::string quoted(std::string_view text) { return '"' + with_backslashes(text, "\"\\") + '"'; }

std::string comment_of(std::string_view text) { return '(' + with_backslashes(text, "()\\") + ')'; }

std::string unfolded(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char const c : text)
        if (c != '\r' && c != '\n') out += c;
    return out;
}

} // namespace postern::mail
