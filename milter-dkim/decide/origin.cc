// Asks MTA, MacroList, InternalHosts and {auth_type}.
#include "milter-dkim/decide/origin.h"

#include "common/base/text.h"
#include "milter-dkim/tables/hosts.h"

#include <fmt/format.h>

namespace postern::milter_dkim {

namespace {

bool by_mta(Configuration const& configuration, MessageFacts const& facts, Reasons& reasons) {
    if (!configuration.mta) return false;
    auto const name = facts.macro("{daemon_name}");
    if (name && reasons.yes(configuration.mta->contains(*name))) return true;
    reasons.why(fmt::format("no MTA name match (host={}, MTA={})", facts.macro("j").value_or("(null)"),
                            name.value_or("?")));
    return false;
}

bool by_macros(Configuration const& configuration, MessageFacts const& facts, Reasons& reasons) {
    if (!configuration.macros) return false;
    if (auto const* rows = configuration.macros->rows())
        for (auto const& row : *rows) {
            auto const value = facts.macro("{" + row.key + "}");
            if (!value) continue;
            if (row.value.empty()) return true;
            for (auto const wanted : split(row.value, '|'))
                if (*value == wanted) return true;
        }
    reasons.why("no macros match");
    return false;
}

bool by_client(Configuration const& configuration, MessageFacts const& facts, Reasons& reasons) {
    bool const internal =
        reasons.yes(lists_client(*configuration.internal_hosts, facts.client_name, facts.client_address));
    bool const authenticated = !facts.macro("{auth_type}").value_or("").empty();
    if (internal || authenticated) return true;
    reasons.why(fmt::format("{} [{}] not internal", printable(facts.client_name), facts.client_address));
    reasons.why("not authenticated");
    return false;
}

} // namespace

bool is_origin_ours(Configuration const& configuration, MessageFacts const& facts, Reasons& reasons) {
    return by_mta(configuration, facts, reasons) || by_macros(configuration, facts, reasons) ||
           by_client(configuration, facts, reasons);
}

bool comes_from_us(Configuration const& configuration, MessageFacts const& facts) {
    Reasons reasons;
    return is_origin_ours(configuration, facts, reasons) && !reasons.failed();
}

} // namespace postern::milter_dkim
