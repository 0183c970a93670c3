// Delivery as the session wants it: plans for each recipient, carried out by user.
#pragma once

#include "lmtp-deliver/delivery.h"
#include "lmtp-deliver/executor.h"
#include "lmtp-deliver/planner.h"

#include <optional>
#include <span>
#include <vector>

namespace postern::lmtp_deliver {

class MailDelivery final : public Delivery {
  public:
    MailDelivery(MailSettings const& settings, Executor& executor, Log& log)
        : settings_(settings), executor_(executor), log_(log) {}
    std::optional<Outcome> refusal(Destination const& destination) override;
    std::vector<Outcome> deliver(Spool& message, std::span<Destination const> destinations) override;

  private:
    std::optional<Plan> plan(Destination const& destination) const;

    MailSettings const& settings_;
    Executor& executor_;
    Log& log_;
};

} // namespace postern::lmtp_deliver
