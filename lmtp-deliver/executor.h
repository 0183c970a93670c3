// Who carries out plans: this process for one user, or a child process with the rights of each user.
#pragma once

#include "lmtp-deliver/deposit.h"

#include <optional>
#include <span>
#include <vector>

namespace postern::lmtp_deliver {

class Executor {
  public:
    virtual ~Executor() = default;
    // All plans are of one uid and gid.
    virtual std::vector<Outcome> deposit(Spool& message, std::span<Plan const> plans) = 0;
    virtual std::optional<Outcome> refusal(Plan const& plan) = 0;
};

// Delivers with the rights this process has. Users of another uid are refused: that is a mistake in the
// configuration, and waits until it is mended.
class OwnExecutor final : public Executor {
  public:
    OwnExecutor(Depositor& depositor, Log& log) : depositor_(depositor), log_(log) {}
    std::vector<Outcome> deposit(Spool& message, std::span<Plan const> plans) override;
    std::optional<Outcome> refusal(Plan const& plan) override;

  private:
    bool may_serve(Plan const& plan) const;

    Depositor& depositor_;
    Log& log_;
};

} // namespace postern::lmtp_deliver
