// Delivery within this process.
#include "lmtp-deliver/executor.h"

#include <unistd.h>

namespace postern::lmtp_deliver {

bool OwnExecutor::may_serve(Plan const& plan) const {
    if (plan.uid == ::geteuid()) return true;
    log_.error("lmtp({})<{}>: the user's uid is {} and this daemon runs as {}: set user = root in "
               "lmtp-deliver.conf to deliver for several uids",
               plan.user, plan.session_id, plan.uid, ::geteuid());
    return false;
}

std::vector<Outcome> OwnExecutor::deposit(Spool& message, std::span<Plan const> plans) {
    if (plans.empty()) return {};
    if (!may_serve(plans.front())) return std::vector<Outcome>(plans.size());
    return depositor_.deposit(message, plans);
}

std::optional<Outcome> OwnExecutor::refusal(Plan const& plan) {
    if (!may_serve(plan)) return Outcome{};
    return depositor_.refusal(plan);
}

} // namespace postern::lmtp_deliver
