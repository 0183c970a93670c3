// Stages in the order in which their macros hide each other.
#include "common/milter/macro_table.h"

#include <ranges>

namespace postern::milter {

namespace {

// Connect, HELO, MAIL, RCPT, DATA, end of message, end of headers: libmilter's order.
constexpr std::string_view stage_letters = "CHMRTEN";
constexpr std::size_t mail_stage = 2;

std::string_view without_braces(std::string_view name) {
    bool const braced_letter = name.size() == 3 && name.front() == '{' && name.back() == '}';
    return braced_letter ? name.substr(1, 1) : name;
}

} // namespace

std::optional<std::size_t> MacroTable::stage_of(char command) {
    auto const stage = stage_letters.find(command);
    return stage == std::string_view::npos ? std::nullopt : std::optional(stage);
}

std::optional<std::string> MacroTable::get(std::string_view name) const {
    auto const wanted = without_braces(name);
    for (auto const& stage : std::views::reverse(stages_))
        for (auto const& [known, value] : stage)
            if (known == wanted) return value;
    return std::nullopt;
}

void MacroTable::set(char command, std::vector<std::string_view> const& names_and_values) {
    auto const stage = stage_of(command);
    if (!stage) return;
    forget_from(*stage);
    for (std::size_t i = 0; i + 1 < names_and_values.size(); i += 2)
        stages_[*stage].emplace_back(without_braces(names_and_values[i]), names_and_values[i + 1]);
}

void MacroTable::forget_message() { forget_from(mail_stage); }

void MacroTable::forget_from(std::size_t stage) {
    for (; stage < stage_count; ++stage) stages_[stage].clear();
}

} // namespace postern::milter
