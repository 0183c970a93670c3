// Which keys are due, and what the next ones are called.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/tools/rotate/key_in_use.h"
#include "milter-dkim/tools/rotate/state.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim::tools {

struct PlanSettings {
    // %Y %m %d %y %j as in strftime(3), %h this host's first label, %n the next number, %% a percent sign.
    std::string pattern = "%Y%m";
    std::int64_t now = 0;             // Unix time, UTC
    std::string host;                 // for %h
    bool at_once = false;             // also when the pattern's selector is in use already
    std::int64_t minimum_age = 0;     // seconds that a key file must be old
    std::optional<KeyType> type;      // absent: the old key's
    std::optional<int> bits;          // absent: the old key's, 2048 at least
    std::string directory;            // of new key files; empty: the old file's
    std::vector<std::string> domains; // only these; empty: all
};

// The selector after old. Error: an unknown %, or what comes out is no selector.
Result<std::string> expand_pattern(PlanSettings const& settings, std::string_view old_selector);
// Whether a selector is one that the pattern gave: itself, with a type ("202611-ed25519") or a letter
// (202611b).
bool is_from(std::string_view selector, std::string_view expanded);

struct Plan {
    std::vector<Rotation> rotations;
    std::vector<std::string> notes; // why a key is left alone
};
// known: the rotations of the state directory. The error names the key that cannot be planned for.
Result<Plan> make_plan(Inventory const& inventory, std::vector<Rotation> const& known,
                       PlanSettings const& settings);

} // namespace postern::milter_dkim::tools
