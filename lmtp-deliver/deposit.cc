// Stores copies, keeps quota, tells the log.
#include "lmtp-deliver/deposit.h"

#include "lmtp-deliver/maildir/folder.h"
#include "lmtp-deliver/quota/maildirsize.h"
#include "lmtp-deliver/quota/rules.h"
#include "lmtp-deliver/trace.h"

#include <fmt/format.h>
#include <unistd.h>

namespace postern::lmtp_deliver {

namespace {

FolderPlan const inbox_plan{"", "INBOX", "INBOX", true, false};

std::optional<QuotaLimits> configured_limits(QuotaPlan const& quota) {
    if (!quota.forced) return std::nullopt;
    return QuotaLimits{quota.root_bytes, quota.root_count};
}

// A mailbox that is at its limit takes nothing more; one below it may pass it once by the grace.
bool would_exceed(QuotaPlan const& quota, Maildirsize::State const& state, std::int64_t octets) {
    if (!quota.enforced || !state.tracked) return false;
    if (state.limits.bytes > 0) {
        auto const limit = state.limits.bytes + quota.folder_bytes;
        auto const left = limit - state.usage.bytes;
        if (left <= 0 || octets > left + quota.grace) return true;
    }
    return state.limits.count > 0 && state.usage.count >= state.limits.count + quota.folder_count;
}

Outcome over_quota(QuotaPlan const& quota) {
    return {quota.full_is_temporary ? Outcome::Kind::over_quota_for_now : Outcome::Kind::over_quota,
            quota.exceeded};
}

Maildirsize sizes_of(Files& files, Plan const& plan, QuotaPlan const& quota,
                     std::function<std::int64_t()> const& now) {
    return Maildirsize(
        files, plan.location,
        [&quota](std::string const& folder) { return matches_any(quota.ignored_folders, folder); }, now);
}

} // namespace

std::string Depositor::prefix(Plan const& plan) const {
    return fmt::format("lmtp({})<{}><{}>", plan.user, ::getpid(), plan.session_id);
}

void Depositor::deposit(Spool const& message, std::span<Plan const> plans, Tell const& tell) {
    constexpr std::size_t header_looked_at = 65536;
    auto const id = message_id(message.beginning(header_looked_at));
    std::optional<Stored> earlier;
    for (auto const& plan : plans) {
        auto outcome = deposit_one(message, plan, id, earlier);
        if (!outcome) log_.error("{}: msgid={}: save failed: {}", prefix(plan), id, outcome.error().text);
        tell(outcome ? std::move(*outcome) : Outcome{});
    }
}

std::vector<Outcome> Depositor::deposit(Spool const& message, std::span<Plan const> plans) {
    std::vector<Outcome> outcomes;
    deposit(message, plans, [&](Outcome outcome) { outcomes.push_back(std::move(outcome)); });
    return outcomes;
}

Result<Outcome> Depositor::deposit_one(Spool const& message, Plan const& plan, std::string const& id,
                                       std::optional<Stored>& earlier) {
    auto const place = find_place(plan, id);
    if (!place) return std::unexpected(place.error());
    auto const& quota = *place->quota;
    bool const counts = quota.active && !quota.folder_ignored;
    auto sizes = sizes_of(files_, plan, quota, now_);
    auto const octets = static_cast<std::int64_t>(message.size().octets);
    Maildirsize::State state;
    if (counts) {
        auto read = sizes.read(configured_limits(quota), place->root);
        if (!read) return std::unexpected(std::move(read.error()).within("quota"));
        state = *read;
        if (would_exceed(quota, state, octets)) {
            log_.info("{}: msgid={}: save failed to {}: {}", prefix(plan), id, place->folder->name,
                      quota.exceeded);
            return over_quota(quota);
        }
    }
    auto stored = store_message(files_, names_, place->path, place->permissions, message, plan.fsync,
                                earlier ? &*earlier : nullptr);
    if (!stored) return std::unexpected(stored.error());
    earlier = std::move(*stored);
    if (counts && state.tracked) sizes.add({octets, 1}, state.limits, place->root);
    log_.info("{}: msgid={}: saved mail to {}", prefix(plan), id, place->folder->name);
    return Outcome{Outcome::Kind::saved, ""};
}

// The folder that was asked for, or INBOX when it is not there and not to be made.
Result<Depositor::Place> Depositor::find_place(Plan const& plan, std::string const& id) {
    auto const permissions = ensure_inbox(files_, plan.location);
    if (!permissions) return std::unexpected(permissions.error());
    Place inbox{plan.location.inbox, &inbox_plan, &plan.inbox_quota, *permissions, *permissions};
    if (plan.folder.folder.empty()) return inbox;
    auto const path = folder_path(plan.location, plan.folder.folder);
    auto const there = folder_is_there(plan, path, *permissions);
    if (!there) return std::unexpected(there.error());
    if (!*there) {
        log_.info("{}: msgid={}: save failed to open mailbox {}: Mailbox doesn't exist: {}", prefix(plan), id,
                  plan.folder.name, plan.folder.name);
        return inbox;
    }
    auto const own = Permissions::of(path);
    if (!own) return std::unexpected(own.error());
    return Place{path, &plan.folder, &plan.quota, *own, *permissions};
}

Result<bool> Depositor::folder_is_there(Plan const& plan, std::string const& path,
                                        Permissions const& permissions) {
    auto const there = is_directory(path);
    if (!there) return there;
    if (!*there && !plan.folder.create) return false;
    // A folder that another program began to make is finished here.
    auto const usable = *there ? is_directory(path + "/tmp") : there;
    if (!usable) return usable;
    if (!*usable)
        if (auto done = make_folder(files_, plan.location, plan.folder.folder, permissions); !done)
            return std::unexpected(done.error());
    if (!*there && plan.folder.subscribe)
        if (auto done = subscribe(files_, plan.location, plan.folder.subscription, permissions); !done)
            log_.warning("{}: {} is made but not subscribed: {}", prefix(plan), plan.folder.name,
                         done.error().text);
    return true;
}

std::optional<Outcome> Depositor::refusal(Plan const& plan) {
    auto const& quota = plan.inbox_quota;
    if (!quota.active || quota.folder_ignored) return std::nullopt;
    auto const there = is_directory(plan.location.root);
    if (there && !*there) return std::nullopt; // nothing is stored yet
    auto const permissions = Permissions::of(plan.location.root);
    auto sizes = sizes_of(files_, plan, quota, now_);
    auto const state = permissions ? sizes.read(configured_limits(quota), *permissions)
                                   : Result<Maildirsize::State>(std::unexpected(permissions.error()));
    if (!state) {
        log_.error("{}: quota check failed: {}", prefix(plan), state.error().text);
        return Outcome{};
    }
    if (!would_exceed(quota, *state, 1)) return std::nullopt;
    return over_quota(quota);
}

} // namespace postern::lmtp_deliver
