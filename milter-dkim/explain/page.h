// A page for a terminal: titles, and rows of a label and a text that is folded to fit.
#pragma once

#include <string>
#include <string_view>

namespace postern::milter_dkim::explain {

class Page {
  public:
    static constexpr std::size_t columns = 96;

    void title(std::string_view text);
    // text may hold anybody's octets.
    void row(std::string_view label, std::string_view text);
    // Lines as they stand, each behind a mark.
    void lines(std::string_view mark, std::string_view text);
    std::string const& text() const { return text_; }

  private:
    std::string text_;
};

// "1 octet", "2 octets".
std::string counted(std::size_t count, std::string_view one);
// Unfolded, without the blanks around, at most so long.
std::string on_one_line(std::string_view value, std::size_t limit = 200);

} // namespace postern::milter_dkim::explain
