// Keys, values and the letters that name their parts.
#include "sql-maps/expansion.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::sql_maps {

namespace {

constexpr std::string_view letters = "sSuUdD123456789";

} // namespace

void Needs::of_query(std::string const& letter) {
    // In a query both cases mean the key.
    of_result_format(upper(letter.at(0)));
}

void Needs::of_result_format(char letter) {
    if (letter == 'u') value_user = true;
    if (letter == 'd') value_domain = true;
    if (letter == 'U') key_user = true;
    if (letter == 'D' || is_digit(letter)) key_domain = true;
    if (is_digit(letter)) key_labels = std::max(key_labels, letter - '0');
}

Result<sql::Template::Variable> scan_variable(std::string_view after_percent) {
    if (after_percent.empty()) return permanent("a '%' stands at the end");
    if (!letters.contains(after_percent[0]))
        return permanent(fmt::format("'%{}' is unknown; %s %S %u %U %d %D %1 to %9 and %% are known",
                                     printable(after_percent.substr(0, 1))));
    return sql::Template::Variable{1, std::string(after_percent.substr(0, 1))};
}

std::optional<Key> Key::make(std::string_view text, Needs const& needs) {
    if (text.empty()) return std::nullopt;
    auto const at = text.rfind('@');
    bool const has_at = at != std::string_view::npos;
    if (needs.key_domain && (!has_at || at + 1 == text.size())) return std::nullopt;
    if (needs.key_user && at == 0) return std::nullopt;
    Key key;
    key.text_ = text;
    key.user_ = text.substr(0, at);
    if (has_at) key.domain_ = text.substr(at + 1);
    // Empty labels do not count: a@x..example has two, as in Postfix.
    for (auto const label : split_words(key.domain_, ".")) key.labels_.emplace(key.labels_.begin(), label);
    if (key.labels_.size() < static_cast<std::size_t>(needs.key_labels)) return std::nullopt;
    return key;
}

std::string Key::variable(char letter) const {
    switch (letter) {
    case 'u':
    case 'U': return user_;
    case 'd':
    case 'D': return domain_;
    case 's':
    case 'S': return text_;
    default: return labels_.at(static_cast<std::size_t>(letter - '1'));
    }
}

Result<ResultFormat> ResultFormat::parse(std::string_view text, Needs& needs) {
    ResultFormat made;
    made.pieces_.emplace_back();
    for (std::size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '%') {
            made.pieces_.back().text += text[at];
            continue;
        }
        if (text.substr(at + 1).starts_with('%')) {
            made.pieces_.back().text += text[at++];
            continue;
        }
        auto const found = scan_variable(text.substr(at + 1));
        if (!found) return std::unexpected(found.error());
        needs.of_result_format(text[++at]);
        made.pieces_.back().variable = text[at];
        made.pieces_.emplace_back();
    }
    return made;
}

std::optional<std::string> ResultFormat::apply(std::string_view value, Key const& key,
                                               Needs const& needs) const {
    auto const at = value.rfind('@');
    bool const has_at = at != std::string_view::npos;
    if (needs.value_domain && (!has_at || at + 1 == value.size())) return std::nullopt;
    if (needs.value_user && at == 0) return std::nullopt;
    std::string out;
    for (auto const& [text, variable] : pieces_) {
        out += text;
        if (variable == 's')
            out += value;
        else if (variable == 'u')
            out += value.substr(0, at);
        else if (variable == 'd')
            out += value.substr(at + 1);
        else if (variable != 0)
            out += key.variable(variable);
    }
    return out;
}

} // namespace postern::sql_maps
