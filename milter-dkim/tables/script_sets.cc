// Keeps the databases.
#include "milter-dkim/tables/script_sets.h"

#include "common/base/text.h"

#include <utility>
#include <vector>

namespace postern::milter_dkim {

Result<std::shared_ptr<DataSet const>> ScriptSets::open_new(std::string_view value) const {
    std::vector<config::Problem> problems;
    auto set = opener_.open(value, {"script", 0}, problems);
    if (!set) return std::unexpected(std::move(set.error()));
    return std::shared_ptr<DataSet const>(std::move(*set));
}

Result<std::shared_ptr<DataSet const>> ScriptSets::open(std::string_view value) const {
    if (!equals_ignoring_case(halve(value, ':').before, "dsn")) return open_new(value);
    std::lock_guard const lock(mutex_);
    if (auto const known = databases_.find(value); known != databases_.end()) return known->second;
    if (databases_.size() >= max_databases) return permanent("too many different databases");
    auto made = open_new(value); // connects when first asked
    if (made) databases_.emplace(value, *made);
    return made;
}

} // namespace postern::milter_dkim
