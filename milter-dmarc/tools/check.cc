// milter-dmarc-check: the policy that applies to a domain's mail, in words.
#include "milter-dmarc/tools/check.h"

#include "common/base/text.h"
#include "common/daemon/command_line.h"
#include "common/mail/domain.h"

#include <fmt/format.h>

namespace postern::milter_dmarc {

namespace {

std::string_view word(Alignment alignment) { return alignment == Alignment::strict ? "strict" : "relaxed"; }

std::string word(std::optional<Policy> policy) {
    return std::string(policy ? to_string(*policy) : std::string_view("unspecified"));
}

std::string_view word(PublicSuffixFlag flag) {
    switch (flag) {
    case PublicSuffixFlag::unknown: return "unspecified";
    case PublicSuffixFlag::yes: return "yes";
    case PublicSuffixFlag::no: return "no";
    }
    return {};
}

std::string list(std::string_view title, std::vector<std::string> const& items) {
    auto text = fmt::format("\t{}:\n", title);
    for (auto const& each : items) text += fmt::format("\t\t{}\n", each);
    return items.empty() ? text + "\t\t(none)\n" : text;
}

// The first lines are opendmarc-check's; what it did not know follows.
std::string described(std::string const& name, FoundRecord const& found) {
    auto const& record = found.record;
    auto text = fmt::format(
        "DMARC record for {}:\n\tSample percentage: {}\n\tDKIM alignment: {}\n\tSPF alignment: {}\n"
        "\tDomain policy: {}\n\tSubdomain policy: {}\n",
        name, record.pct, word(record.adkim), word(record.aspf), to_string(record.p), word(record.sp));
    text += list("Aggregate report URIs", record.rua) + list("Forensic report URIs", record.ruf);
    text += fmt::format(
        "\tNon-existent subdomain policy: {}\n\tTest mode: {}\n\tPublic suffix: {}\n\tPolicy domain: {}\n"
        "\tDiscovery method: {}\n",
        word(record.np), record.testing ? "yes" : "no", word(record.psd), found.domain,
        to_string(found.method));
    if (record.verdict == Record::Verdict::unusable)
        text += "\tUnusable: no valid policy and no report URI\n";
    if (record.verdict == Record::Verdict::monitoring) text += "\tNo valid policy: taken as none\n";
    for (auto const& note : record.notes) text += fmt::format("\tNote: {}\n", note);
    return text;
}

} // namespace

CheckAnswer check_domain(std::string const& name, Discovery& discovery) {
    auto const domain = mail::normal_domain(name);
    if (!domain) return {{}, printable(name, 80) + ": not a domain name", daemon::exit_usage};
    auto const found = discovery.record_for(*domain);
    if (!found) return {{}, *domain + ": " + found.error().text, daemon::exit_temporary};
    if (!*found) return {{}, *domain + ": no DMARC record", daemon::exit_failure};
    return {described(*domain, **found), {}, daemon::exit_ok};
}

} // namespace postern::milter_dmarc
