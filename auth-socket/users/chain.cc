// How several databases in a row come to one answer.
#include "auth-socket/users/chain.h"

#include "auth-socket/users/modifiers.h"
#include "auth-socket/users/variables.h"
#include "common/base/text.h"

#include <algorithm>

namespace postern::auth_socket {

bool ChainState::goes_on(DatabaseBlock const& block, Verdict verdict) {
    if (verdict == Verdict::user_disabled || verdict == Verdict::password_expired ||
        verdict == Verdict::wrong_network) {
        failure_ = verdict;
        final_ = true;
        success = false;
        return false;
    }
    // Whoever a deny list knows does not get in, whatever else the list says of him; and a list that cannot
    // be read may hold anybody.
    if ((block.deny || needs_all_) && verdict == Verdict::temporary) {
        temporary_ = true;
        success = false;
        return false;
    }
    if (block.deny && verdict != Verdict::unknown_user) {
        failure_ = Verdict::refused;
        final_ = true;
        success = false;
        return false;
    }
    if (verdict == Verdict::temporary) temporary_ = true;
    if (verdict == Verdict::ok && block.others_may_object) needs_all_ = true;
    // A wrong password weighs more than an unknown user: it is what the client is to be told apart by.
    if (verdict != Verdict::ok && verdict != Verdict::temporary && verdict != Verdict::unknown_user)
        failure_ = verdict;
    auto const rule = verdict == Verdict::ok          ? block.success
                      : verdict == Verdict::temporary ? block.internal_failure
                                                      : block.failure;
    switch (rule) {
    case Rule::return_ok: success = true; return false;
    case Rule::return_here: return false;
    case Rule::return_fail: success = false; return false;
    case Rule::continue_on: return true;
    case Rule::continue_ok: success = true; return true;
    case Rule::continue_fail: success = false; return true;
    }
    return false;
}

Verdict ChainState::verdict() const {
    if (success) return Verdict::ok;
    if (temporary_ && !final_) return Verdict::temporary;
    return failure_;
}

namespace {

bool passes_filter(std::string_view user, std::string_view filter) {
    bool has_positive = false, matched = false;
    for (auto word : split_words(filter)) {
        auto const negated = word.starts_with("!");
        if (negated) word.remove_prefix(1);
        has_positive |= !negated;
        if (!matches_wildcard(to_lower(user), to_lower(word))) continue;
        if (negated) return false;
        matched = true;
    }
    return matched || !has_positive;
}

} // namespace

bool serves_mechanism(DatabaseBlock const& block, Request const& request) {
    auto const& mechanisms = block.mechanisms;
    auto const mechanism = request.mechanism.empty() ? std::string("NONE") : request.mechanism;
    return mechanisms.empty() || std::ranges::find(mechanisms, mechanism) != mechanisms.end();
}

bool is_skipped(DatabaseBlock const& block, Request const& request, bool known) {
    if (block.skip == Skip::when_known && known) return true;
    if (block.skip == Skip::when_unknown && !known) return true;
    if (!serves_mechanism(block, request)) return true;
    return !passes_filter(request.user, block.username_filter);
}

Result<Fields> overrides(DatabaseBlock const& block, Fields const& row, Request const& request) {
    if (block.override_fields.empty()) return Fields{};
    auto asking = request;
    asking.row = row;
    return expanded(block.override_fields, asking);
}

Result<Fields> expanded(Fields const& templates, Request const& request) {
    Fields fields;
    for (auto const& [name, value] : templates) {
        auto text = expand(value.value_or(""), request);
        if (!text) return std::unexpected(std::move(text.error()));
        fields.set(name, value ? std::optional(std::move(*text)) : std::nullopt);
    }
    return fields;
}

} // namespace postern::auth_socket
