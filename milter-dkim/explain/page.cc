// Indents and folds.
#include "milter-dkim/explain/page.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::milter_dkim::explain {

namespace {

constexpr std::size_t label_columns = 18;
constexpr std::size_t longest_row = 4000;

} // namespace

void Page::title(std::string_view text) { text_ += fmt::format("{}{}\n", text_.empty() ? "" : "\n", text); }

void Page::row(std::string_view label, std::string_view text) {
    auto line = fmt::format("  {:<{}}", label, label_columns - 2);
    if (line.size() > label_columns) line += ' ';
    bool first = true;
    auto const shown = printable(text, longest_row);
    for (auto const word : split_words(shown, " ")) {
        if (!first && line.size() + 1 + word.size() > columns) {
            text_ += line + '\n';
            line = std::string(label_columns, ' ');
            first = true;
        }
        if (!first) line += ' ';
        line += word;
        first = false;
    }
    text_ += line + '\n';
}

void Page::lines(std::string_view mark, std::string_view text) {
    bool first = true;
    for (auto const line : split(text, '\n')) {
        auto const tab = line.starts_with('\t');
        text_ += fmt::format("  {} {}{}\n", first ? mark : " ", tab ? "    " : "",
                             printable(line.substr(tab ? 1 : 0), longest_row));
        first = false;
    }
}

std::string counted(std::size_t count, std::string_view one) {
    return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

std::string on_one_line(std::string_view value, std::size_t limit) {
    return printable(join(
                         [&] {
                             std::vector<std::string> words;
                             for (auto const word : split_words(value)) words.emplace_back(word);
                             return words;
                         }(),
                         " "),
                     limit);
}

} // namespace postern::milter_dkim::explain
