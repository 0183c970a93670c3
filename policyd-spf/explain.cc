// Evaluations as readable trees.
#include "policyd-spf/explain.h"

#include "common/base/text.h"
#include "policyd-spf/answers.h"

#include <fmt/format.h>

#include <iterator>

namespace postern::policyd_spf {

namespace {

constexpr std::size_t longest_line = 4000; // records may have 64 KiB

struct Told {
    spf::Outcome outcome;
    std::string tree;
};

Told told(spf::Checker const& checker, Settings const& settings, spf::Query const& query) {
    Told out;
    spf::CheckLimits const limits{.void_lookups = settings.void_limit, .time = settings.lookup_time};
    out.outcome = checker.check(query, limits, [&](unsigned depth, std::string const& line) {
        fmt::format_to(std::back_inserter(out.tree), "  {}{}\n", std::string(std::size_t{2} * depth, ' '),
                       printable(line, longest_line));
    });
    return out;
}

std::string counts(spf::Outcome const& outcome, Settings const& settings) {
    auto out = fmt::format("  lookups: {} of {}, void lookups: {} of {}", outcome.lookups,
                           spf::CheckLimits{}.lookups, outcome.void_names.size(), settings.void_limit);
    for (auto const& name : outcome.void_names) out += "\n    no answer: " + printable(name);
    return out + "\n";
}

std::string section(std::string_view title, Told const& told, Settings const& settings) {
    auto out = fmt::format("{}\n{}{}  result: {}", title, told.tree, counts(told.outcome, settings),
                           spf::to_string(told.outcome.verdict));
    if (!told.outcome.explanation.empty()) out += fmt::format(" ({})", told.outcome.explanation);
    return out + "\n";
}

bool is_error(spf::Verdict verdict) {
    return verdict == spf::Verdict::permerror || verdict == spf::Verdict::temperror;
}

} // namespace

Report explain(spf::Checker const& checker, Settings const& settings, std::string_view client,
               std::string_view helo, std::string_view sender) {
    auto const address = spf::IpAddress::parse(client);
    if (!address) return {fmt::format("\"{}\" is no IP address\n", printable(client)), false};
    Report report;
    if (settings.skip_addresses.contains(*address))
        report.text += fmt::format("{} is in skip_addresses: the daemon does not check it.\n\n", client);
    auto const helo_told = told(checker, settings, {*address, "", std::string(helo)});
    report.text += section(fmt::format("HELO {} from {}", printable(helo), client), helo_told, settings);
    report.good = !is_error(helo_told.outcome.verdict);
    if (sender.empty() || sender == "<>") return report;
    auto const sender_told = told(checker, settings, {*address, std::string(sender), std::string(helo)});
    report.text +=
        "\n" + section(fmt::format("MAIL FROM {} from {}", printable(sender), client), sender_told, settings);
    report.good = report.good && !is_error(sender_told.outcome.verdict);
    return report;
}

Report check_record(spf::Checker const& checker, Settings const& settings, std::string_view domain) {
    // RFC 5737: an address that nobody lists, so that every term is looked at.
    auto const nobody = *spf::IpAddress::parse("203.0.113.255");
    auto const sender = fmt::format("postmaster@{}", domain);
    auto const result = told(checker, settings, {nobody, sender, std::string(domain)});
    auto const verdict = result.outcome.verdict;
    Report report;
    report.good = verdict != spf::Verdict::none && !is_error(verdict) && result.outcome.void_names.empty();
    report.text =
        section(fmt::format("{} for a client that no term lists", printable(domain)), result, settings);
    if (verdict == spf::Verdict::pass) report.text += "  warning: this record lets everybody send\n";
    if (!result.outcome.void_names.empty())
        report.text += "  warning: names without an answer cost lookups; remove them from the record\n";
    report.text += report.good ? "  good\n" : "  not good\n";
    return report;
}

} // namespace postern::policyd_spf
