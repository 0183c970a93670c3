// regcomp(3) and regexec(3), bounded.
#include "milter-dkim/sign/replacements.h"

#include "common/base/text.h"

#include <regex.h>

#include <fmt/format.h>

namespace postern::milter_dkim {

using config::Problem;

struct Replacements::Rule {
    regex_t expression{};
    std::string text;
    bool compiled = false;

    Rule() = default;
    Rule(Rule const&) = delete;
    Rule& operator=(Rule const&) = delete;
    ~Rule() {
        if (compiled) regfree(&expression);
    }
    // In words what is wrong with it, or nothing.
    std::string compile(std::string const& pattern) {
        int const error = regcomp(&expression, pattern.c_str(), 0);
        compiled = error == 0;
        if (compiled) return {};
        char words[200];
        regerror(error, &expression, words, sizeof words);
        return words;
    }
    void apply(std::string& value) const {
        for (int turn = 0; turn < max_turns; ++turn) {
            regmatch_t match{};
            if (regexec(&expression, value.c_str(), 1, &match, 0) != 0) return;
            auto const begin = static_cast<std::size_t>(match.rm_so);
            auto const size = static_cast<std::size_t>(match.rm_eo) - begin;
            if (value.size() - size + text.size() > max_value) return;
            value.replace(begin, size, text);
        }
    }
};

Replacements Replacements::parse(std::string_view text, std::string const& file,
                                 std::vector<Problem>& problems) {
    Replacements made;
    int number = 0;
    for (auto line : split(text, '\n')) {
        config::Place const place{file, ++number};
        auto const error = [&](std::string words) {
            problems.push_back({Problem::Severity::error, place, std::move(words)});
        };
        line = line.substr(0, line.find('#'));
        if (trim(line).empty()) continue;
        if (line.ends_with('\r')) line.remove_suffix(1);
        auto const tab = line.rfind('\t');
        if (tab == std::string_view::npos) {
            error("expected a regular expression, a tab and the text for it");
            continue;
        }
        if (made.rules_.size() >= max_rules) {
            error(fmt::format("more than {} rules", max_rules));
            break;
        }
        auto rule = std::make_shared<Rule>();
        rule->text = line.substr(tab + 1);
        if (auto const fault = rule->compile(std::string(line.substr(0, tab))); !fault.empty())
            error("the regular expression: " + fault);
        else
            made.rules_.push_back(std::move(rule));
    }
    return made;
}

std::string Replacements::applied(std::string value) const {
    if (value.contains('\0')) return value; // C strings end there
    for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) (*rule)->apply(value);
    return value;
}

} // namespace postern::milter_dkim
