// Carries out plans: one message into one or more mailboxes, with quota, as the user that runs it.
#pragma once

#include "common/base/clock.h"
#include "common/base/log.h"
#include "lmtp-deliver/delivery.h"
#include "lmtp-deliver/maildir/file_name.h"
#include "lmtp-deliver/maildir/files.h"
#include "lmtp-deliver/maildir/store.h"
#include "lmtp-deliver/plan.h"

#include <functional>
#include <optional>
#include <span>
#include <vector>

namespace postern::lmtp_deliver {

class Depositor {
  public:
    Depositor(Files& files, FileNames& names, Log& log, std::function<std::int64_t()> now = unix_time)
        : files_(files), names_(names), log_(log), now_(std::move(now)) {}

    // One outcome for each plan, in their order, told as soon as it is known. A plan that fails does not
    // touch the others.
    using Tell = std::function<void(Outcome)>;
    void deposit(Spool const& message, std::span<Plan const> plans, Tell const& tell);
    std::vector<Outcome> deposit(Spool const& message, std::span<Plan const> plans);
    // Why not even one octet could be stored now; absent: it could.
    std::optional<Outcome> refusal(Plan const& plan);

  private:
    struct Place {
        std::string path;
        FolderPlan const* folder = nullptr;
        QuotaPlan const* quota = nullptr;
        Permissions permissions; // of the folder
        Permissions root;        // of what stands beside all folders
    };
    Result<Outcome> deposit_one(Spool const& message, Plan const& plan, std::string const& id,
                                std::optional<Stored>& earlier);
    Result<Place> find_place(Plan const& plan, std::string const& id);
    Result<bool> folder_is_there(Plan const& plan, std::string const& path, Permissions const& permissions);
    std::string prefix(Plan const& plan) const;

    Files& files_;
    FileNames& names_;
    Log& log_;
    std::function<std::int64_t()> now_;
};

} // namespace postern::lmtp_deliver
