// quota, quota_rule and quota_grace of plugin { } and of a user's database fields.
#pragma once

#include "common/base/error.h"
#include "lmtp-deliver/plan.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::lmtp_deliver {

// The plugin settings that apply to a user: those of the file, with the user's own fields in their place.
using PluginSettings = std::map<std::string, std::string, std::less<>>;

// "driver:name:options" of quota, quota2 ...
struct QuotaRoot {
    std::string setting; // "quota", "quota2"
    std::string driver;  // "maildir", "count", "fs", "dict"
    bool enforced = true;
    bool ignore_unlimited = false;
    std::optional<std::string> namespace_prefix; // ns=
};
std::vector<QuotaRoot> quota_roots(PluginSettings const& settings);

struct QuotaRule {
    std::string mask; // "*" is the default, else a mailbox name with * and ?
    bool ignore = false;
    bool from_backend = false; // "backend": the limits stand in the maildirsize file
    std::int64_t bytes = 0;
    std::int64_t count = 0;
    int bytes_percent = 0; // of the default rule's
    int count_percent = 0;
};
Result<QuotaRule> parse_quota_rule(std::string_view text);
// "10%" of limit, or "5M"; storage without a unit is in KiB.
Result<std::int64_t> parse_quota_grace(std::string_view text, std::int64_t limit);

// The quota of the first maildir root that covers the inbox namespace. mailbox: its name as people write it,
// for the rules' masks. on_disk: the folder of a mask, for counting.
Result<QuotaPlan> quota_for(PluginSettings const& settings, std::string_view mailbox,
                            std::string_view inbox_prefix,
                            std::function<std::string(std::string_view)> const& on_disk);

// '*' is any run of characters, '?' any one.
bool matches_mask(std::string_view mask, std::string_view text);
bool matches_any(std::vector<std::string> const& masks, std::string_view text);

} // namespace postern::lmtp_deliver
