// Reads the lexical tokens of structured header fields (RFC 5322 section 3.2): blanks, comments, quoted
// strings.
#pragma once

#include "common/base/error.h"

#include <string>
#include <string_view>

namespace postern::mail {

// RFC 5322 3.2.3, and every octet above ASCII (RFC 6532).
constexpr bool is_atext(char c) {
    if (static_cast<unsigned char>(c) >= 0x80) return true;
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z')) return true;
    return std::string_view("!#$%&'*+-/=?^_`{|}~").find(c) != std::string_view::npos;
}

// Walks over one field's value. The text must outlive it. Every error is ErrorKind::malformed.
class Scanner {
  public:
    static constexpr int max_comment_depth = 16;

    explicit Scanner(std::string_view text) : text_(text) {}

    bool at_end() const { return position_ >= text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[position_]; }
    std::size_t position() const { return position_; }
    std::string_view rest() const { return text_.substr(position_); }
    // Steps over c when it stands here.
    bool take(char c);
    // Steps over the octets for which wanted is true.
    template <class Predicate>
    std::string_view take_while(Predicate wanted) {
        auto const start = position_;
        while (!at_end() && wanted(text_[position_])) ++position_;
        return text_.substr(start, position_ - start);
    }
    // Steps over blanks and line ends; gives whether there were any.
    bool skip_blanks();
    // Steps over blanks, line ends and comments (CFWS). A comment that does not end, or that is nested more
    // than max_comment_depth deep, is an error. comment, if given, gets the contents of the last one.
    Result<> skip_cfws(std::string* comment = nullptr);
    // The contents of the quoted string that begins here, without quotes, backslashes and line ends.
    Result<std::string> quoted_string();

  private:
    Result<std::string> take_comment();

    std::string_view text_;
    std::size_t position_ = 0;
};

// The text as a quoted string, whatever it holds; control characters become '?'.
std::string quoted(std::string_view text);
// The text as a comment: parentheses and backslashes are quoted, so that nobody's text ends it.
std::string comment_of(std::string_view text);
// The text without its line ends; the blanks behind them stay, as RFC 5322 2.2.3 unfolds.
std::string unfolded(std::string_view text);

} // namespace postern::mail
