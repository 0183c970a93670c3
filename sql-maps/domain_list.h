// The "domain" list of a .cf file: only keys in these domains are asked of the database.
#pragma once

#include "common/base/error.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::sql_maps {

// Names (compared whole, without case), "/file" (more patterns, read once), "type:table" (a match when the
// domain is found there), each with any number of '!' before it. The first pattern that matches decides.
class DomainList {
  public:
    // Looks a key up in a table of any kind.
    using TableLookup =
        std::function<Result<std::optional<std::string>>(std::string const& table, std::string_view key)>;

    static Result<DomainList> parse(std::string_view text);

    bool asks_tables() const {
        return std::ranges::any_of(patterns_, [](Pattern const& p) { return p.is_table; });
    }
    // True when the list is empty or has the key's domain. "user" and "@domain" are in no list.
    Result<bool> admits(std::string_view key, TableLookup const& lookup) const;

  private:
    struct Pattern {
        std::string text;
        bool negated = false;
        bool is_table = false;
    };
    Result<> add(std::string_view text, bool negated, int depth);
    std::vector<Pattern> patterns_;
    bool given_ = false;
};

} // namespace postern::sql_maps
