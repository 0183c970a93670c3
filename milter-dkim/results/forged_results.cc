// Finds Authentication-Results that a milter behind us would believe, whatever they claim.
#include "milter-dkim/results/forged_results.h"

#include "common/base/text.h"
#include "common/mail/auth_results.h"

#include <algorithm>

namespace postern::milter_dkim {

bool is_results_name(std::string_view name) {
    return equals_ignoring_case(trim(name), mail::auth_results_name);
}

bool claims_ours(Configuration const& configuration, std::string_view ours, std::string_view value) {
    if (mail::might_claim_authserv_id(value, ours)) return true;
    auto const* others = configuration.remove_ar_from.get();
    auto const id = mail::authserv_id_of(value);
    if (others == nullptr || !id || !others->contains(halve(*id, '/').before).value_or(false)) return false;
    if (configuration.settings.remove_ar_all) return true;
    auto const read = mail::read_auth_results(value);
    return !read || std::ranges::any_of(read->results,
                                        [](mail::AuthResult const& each) { return each.method == "dkim"; });
}

std::vector<bool> forged_results(Configuration const& configuration, std::string_view ours,
                                 HeaderList const& headers) {
    std::vector<bool> forged;
    if (configuration.settings.keep_auth_results) return forged;
    for (auto const& [name, value] : headers)
        if (is_results_name(name)) forged.push_back(claims_ours(configuration, ours, value));
    return forged;
}

} // namespace postern::milter_dkim
