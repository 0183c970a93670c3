// Looks recipients up in OpenDKIM's order.
#include "milter-dkim/decide/recipients.h"

#include "common/base/text.h"

namespace postern::milter_dkim {

namespace {

constexpr std::size_t max_labels = 32; // of a recipient's domain that are asked for one by one

std::vector<std::string> forms_of(std::string_view recipient) {
    auto const halves = halve_at_last(recipient, '@');
    if (!halves.after || halves.before.empty()) return {};
    std::string const user(halves.before);
    std::string const host(*halves.after);
    std::vector<std::string> forms;
    auto const add = [&](std::string const& domain) {
        forms.push_back(user + "@" + domain);
        forms.push_back("*@" + domain);
    };
    add(host);
    for (auto dot = host.find('.'); dot != std::string::npos && forms.size() < 2 * max_labels;
         dot = host.find('.', dot + 1))
        add(host.substr(dot));
    forms.push_back(user + "@*");
    forms.emplace_back("*");
    return forms;
}

Result<bool> lists(DataSet const& set, std::string_view recipient) {
    auto const hits = set.find_in_order(forms_of(recipient), true);
    if (!hits) return std::unexpected(hits.error());
    return !hits->empty();
}

} // namespace

std::optional<std::string> unsigned_recipient(Configuration const& configuration,
                                              std::vector<std::string> const& recipients, Reasons& reasons) {
    auto const* set = configuration.dont_sign_mail_to.get();
    if (set == nullptr) return std::nullopt;
    for (auto const& recipient : recipients) {
        if (reasons.yes(set->contains(recipient))) return recipient;
        if (reasons.failed()) break;
    }
    return std::nullopt;
}

std::optional<std::string> length_recipient(Configuration const& configuration,
                                            std::vector<std::string> const& recipients, Reasons& reasons) {
    auto const* set = configuration.body_length_db.get();
    if (set == nullptr) return std::nullopt;
    for (auto const& recipient : recipients) {
        if (reasons.yes(lists(*set, recipient))) return recipient;
        if (reasons.failed()) break;
    }
    return std::nullopt;
}

} // namespace postern::milter_dkim
