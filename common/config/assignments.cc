// Reads "name = value" files in the styles of Postfix, Dovecot and policyd-spf.
#include "common/config/assignments.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::config {

namespace {

// A logical line: physical ones joined as the style says.
struct Line {
    std::string text;
    int number;
};

bool ends_with_backslash(std::string_view text) { return !text.empty() && text.back() == '\\'; }

std::vector<Line> logical_lines(std::string_view text, AssignmentStyle style) {
    std::vector<Line> lines;
    bool joins = false;
    int number = 0;
    for (auto physical : split(text, '\n')) {
        ++number;
        if (style.hash_anywhere) physical = physical.substr(0, physical.find('#'));
        auto const content = trim(physical);
        if (content.empty() || content.front() == '#') {
            // Postfix: comments and empty lines do not end a continuation.
            if (!style.leading_space_continues) joins = false;
            continue;
        }
        bool const continues = style.leading_space_continues && is_blank(physical.front()) && !lines.empty();
        if (joins || continues) {
            if (!lines.back().text.empty()) lines.back().text += ' ';
            lines.back().text += content;
        } else {
            lines.push_back({std::string(content), number});
        }
        joins = style.backslash_continues && ends_with_backslash(lines.back().text);
        if (joins) {
            lines.back().text.pop_back();
            lines.back().text = trim_right(lines.back().text);
        }
    }
    return lines;
}

std::string unquoted(std::string_view value) {
    bool const quoted =
        value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front();
    if (!quoted) return std::string(value);
    value = value.substr(1, value.size() - 2);
    std::string out;
    for (std::size_t i = 0; i < value.size(); ++i) {
        if (value[i] == '\\' && i + 1 < value.size()) ++i;
        out += value[i];
    }
    return out;
}

} // namespace

ReadResult parse_assignments(std::string_view text, std::string const& file, AssignmentStyle style) {
    ReadResult result;
    for (auto const& [line, number] : logical_lines(text, style)) {
        Place const place{file, number};
        auto const [before, after] = halve(line, '=');
        auto const name = trim(before);
        if (!after || name.empty()) {
            result.problems.push_back(
                {Problem::Severity::error, place,
                 fmt::format("\"{}\" is not of the form \"name = value\"", printable(line, 64))});
            continue;
        }
        auto const value = trim(*after);
        result.assignments.push_back(
            {std::string(name), style.quoted_values ? unquoted(value) : std::string(value), place});
    }
    return result;
}

ReadResult read_assignments(std::string const& path, AssignmentStyle style) {
    auto const text = read_file(path);
    if (!text) return {{}, {{Problem::Severity::error, Place{}, text.error().text}}};
    return parse_assignments(*text, path, style);
}

} // namespace postern::config
