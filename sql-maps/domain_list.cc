// Patterns of Postfix's string lists.
#include "sql-maps/domain_list.h"

#include "common/base/text.h"
#include "common/config/settings.h"

namespace postern::sql_maps {

namespace {

constexpr int deepest_file = 10; // files that name files

std::string without_comments(std::string_view text) {
    std::string out;
    for (auto const line : split(text, '\n'))
        if (!trim_left(line).starts_with('#')) out.append(line).append("\n");
    return out;
}

} // namespace

Result<DomainList> DomainList::parse(std::string_view text) {
    DomainList made;
    made.given_ = !trim(text).empty();
    if (auto done = made.add(text, false, 0); !done) return std::unexpected(std::move(done).error());
    return made;
}

Result<> DomainList::add(std::string_view text, bool negated, int depth) {
    if (depth > deepest_file) return permanent("domain: files name each other too deeply");
    for (auto word : split_words(text, ", \t\r\n")) {
        bool no = negated;
        while (word.starts_with('!')) {
            no = !no;
            word.remove_prefix(1);
        }
        if (word.empty()) return permanent("domain: no pattern after '!'");
        if (word.starts_with('/')) {
            auto const content = config::read_file(std::string(word));
            if (!content) return std::unexpected(Error(content.error()).within("domain"));
            if (auto done = add(without_comments(*content), no, depth + 1); !done) return done;
            continue;
        }
        // An address in brackets is not a table.
        bool const is_table = word.contains(':') && !word.starts_with('[');
        patterns_.push_back({std::string(word), no, is_table});
    }
    return {};
}

Result<bool> DomainList::admits(std::string_view key, TableLookup const& lookup) const {
    if (!given_) return true;
    auto const [local, after] = halve_at_last(key, '@');
    if (!after || local.empty()) return false;
    auto const domain = *after;
    for (auto const& pattern : patterns_) {
        bool matches = false;
        if (pattern.is_table) {
            auto const found = lookup(pattern.text, domain);
            if (!found) return std::unexpected(Error(found.error()).within("domain: " + pattern.text));
            matches = found->has_value();
        } else {
            matches = equals_ignoring_case(pattern.text, domain);
        }
        if (matches) return !pattern.negated;
    }
    return false;
}

} // namespace postern::sql_maps
