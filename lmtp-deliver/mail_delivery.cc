// Plans, grouped by user id, handed to the executor.
#include "lmtp-deliver/mail_delivery.h"

#include <map>
#include <utility>

namespace postern::lmtp_deliver {

std::optional<Plan> MailDelivery::plan(Destination const& destination) const {
    auto made = make_plan(settings_, destination);
    if (made) return std::move(*made);
    log_.error("lmtp({})<{}>: {}", destination.user.name, destination.session_id, made.error().text);
    return std::nullopt;
}

std::optional<Outcome> MailDelivery::refusal(Destination const& destination) {
    auto const made = plan(destination);
    if (!made) return Outcome{};
    return settings_.check_quota_at_rcpt ? executor_.refusal(*made) : std::nullopt;
}

std::vector<Outcome> MailDelivery::deliver(Spool& message, std::span<Destination const> destinations) {
    struct Group {
        std::vector<std::size_t> places;
        std::vector<Plan> plans;
    };
    std::map<std::pair<uid_t, gid_t>, Group> groups;
    for (std::size_t i = 0; i < destinations.size(); ++i)
        if (auto made = plan(destinations[i])) {
            auto& group = groups[{made->uid, made->gid}];
            group.places.push_back(i);
            group.plans.push_back(std::move(*made));
        }
    std::vector<Outcome> outcomes(destinations.size());
    for (auto const& [ids, group] : groups) {
        auto done = executor_.deposit(message, group.plans);
        for (std::size_t k = 0; k < group.places.size() && k < done.size(); ++k)
            outcomes[group.places[k]] = std::move(done[k]);
    }
    return outcomes;
}

} // namespace postern::lmtp_deliver
