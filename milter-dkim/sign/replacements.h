// ReplaceRules: header fields as they will leave, where something behind us is known to rewrite them.
#pragma once

#include "common/base/error.h"
#include "common/config/settings.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

class Replacements {
  public:
    static constexpr std::size_t max_rules = 1000;
    static constexpr int max_turns = 100;               // of one rule in one value
    static constexpr std::size_t max_value = 64 * 1024; // what grows beyond is left as it was

    // One rule a line: a POSIX basic regular expression, a tab (the last one counts), the text. "#" begins a
    // comment. Faults are told with their line.
    static Replacements parse(std::string_view text, std::string const& file,
                              std::vector<config::Problem>& problems);

    bool empty() const { return rules_.empty(); }
    // Every match is replaced, again and again, by the rules from the last to the first, as OpenDKIM does it.
    std::string applied(std::string value) const;

  private:
    struct Rule;
    std::vector<std::shared_ptr<Rule const>> rules_;
};

} // namespace postern::milter_dkim
