// Evaluations as readable trees.
#include "policyd-spf/explain.h"

#include "common/base/text.h"
#include "policyd-spf/answers.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

namespace postern::policyd_spf {

namespace {

constexpr std::size_t longest_line = 4000; // records may have 64 KiB
constexpr std::size_t long_record = 450;   // RFC 7208 3.4: from there on an answer may not fit into UDP

// Broken between words; what follows stands a little further to the right.
std::string wrapped(std::size_t indent, std::string_view text, Width width) {
    std::string out(indent, ' ');
    std::size_t column = indent;
    bool first = true;
    for (auto const word : split(text, ' ')) {
        if (!first && width != 0 && column + 1 + word.size() > width) {
            out += "\n" + std::string(indent + 4, ' ');
            column = indent + 4;
        } else if (!first) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
        first = false;
    }
    return out + "\n";
}

struct Told {
    spf::Outcome outcome;
    std::string tree;
};

Told told(spf::Checker const& checker, Settings const& settings, spf::Query const& query, Width width) {
    Told out;
    spf::CheckLimits const limits{.void_lookups = settings.void_limit, .time = settings.lookup_time};
    out.outcome = checker.check(query, limits, [&](unsigned level, std::string const& line) {
        out.tree += wrapped(2 + std::size_t{2} * level, printable(line, longest_line), width);
    });
    return out;
}

std::string result(spf::Outcome const& outcome, Settings const& settings, Width width) {
    auto out = fmt::format("  lookups: {} of {}, void lookups: {} of {}\n", outcome.lookups,
                           spf::CheckLimits{}.lookups, outcome.void_names.size(), settings.void_limit);
    for (auto const& name : outcome.void_names) out += "    no answer: " + printable(name) + "\n";
    auto words = fmt::format("result: {}", spf::to_string(outcome.verdict));
    if (!outcome.explanation.empty()) words += fmt::format(" ({})", outcome.explanation);
    return out + wrapped(2, words, width);
}

bool is_error(spf::Verdict verdict) {
    return verdict == spf::Verdict::permerror || verdict == spf::Verdict::temperror;
}

bool can_be_used(spf::Outcome const& outcome) {
    return outcome.verdict != spf::Verdict::none && !is_error(outcome.verdict);
}

// Names without an answer for clients of either family; a host may well have addresses of one only.
std::vector<std::string> dead_names(spf::Outcome const& v4, spf::Outcome const& v6) {
    std::vector<std::string> out;
    for (auto const& name : v4.dead_names)
        if (std::ranges::find(v6.dead_names, name) != v6.dead_names.end()) out.push_back(printable(name));
    return out;
}

} // namespace

Report explain(spf::Checker const& checker, Settings const& settings, std::string_view client,
               std::string_view helo, std::string_view sender, Width width) {
    auto const address = spf::IpAddress::parse(client);
    if (!address) return {fmt::format("\"{}\" is no IP address\n", printable(client)), false};
    Report report{{}, true};
    if (settings.skip_addresses.contains(*address))
        report.text += fmt::format("{} is in skip_addresses: the daemon does not check it.\n\n", client);
    auto const add = [&](std::string const& title, std::string const& mail_from) {
        auto const done = told(checker, settings, {*address, mail_from, std::string(helo)}, width);
        report.text +=
            fmt::format("{} from {}\n{}{}", title, client, done.tree, result(done.outcome, settings, width));
        report.good = report.good && !is_error(done.outcome.verdict);
    };
    add(fmt::format("HELO {}", printable(helo)), "");
    if (sender.empty() || sender == "<>") return report;
    report.text += "\n";
    add(fmt::format("MAIL FROM {}", printable(sender)), std::string(sender));
    return report;
}

Report check_record(spf::Checker const& checker, Settings const& settings, std::string_view domain,
                    Width width) {
    // RFC 1122 3.2.1.3 and RFC 6666: addresses that no host has and nobody lists, so that every term is
    // looked at.
    auto const nobody = *spf::IpAddress::parse("0.0.0.1");
    auto const nobody6 = *spf::IpAddress::parse("100::1");
    auto const sender = fmt::format("postmaster@{}", domain);
    auto const v4 = told(checker, settings, {nobody, sender, std::string(domain)}, width);
    auto const v6 = told(checker, settings, {nobody6, sender, std::string(domain)}, width);
    auto const dead = dead_names(v4.outcome, v6.outcome);
    Report report;
    report.good = can_be_used(v4.outcome) && can_be_used(v6.outcome) && dead.empty();
    report.text = fmt::format("{} for an IPv4 client that no term lists\n{}{}", printable(domain), v4.tree,
                              result(v4.outcome, settings, width));
    report.text += "the same for an IPv6 client\n" + result(v6.outcome, settings, width);
    auto const longest = std::max(v4.outcome.longest_record, v6.outcome.longest_record);
    report.text += fmt::format("longest record: {} octets\n", longest);
    auto const warn = [&](std::string const& text) { report.text += wrapped(0, "warning: " + text, width); };
    if (v4.outcome.verdict == spf::Verdict::pass || v6.outcome.verdict == spf::Verdict::pass)
        warn("this record lets everybody send");
    if (!dead.empty()) warn("remove what has no answer from the record: " + join(dead, ", "));
    if (can_be_used(v4.outcome) && v6.outcome.void_names.size() > settings.void_limit)
        warn("hosts without IPv6 addresses are void lookups for an IPv6 client: too many of them");
    if (longest > long_record)
        warn(fmt::format("more than {} octets may not fit into an answer over UDP (RFC 7208 3.4)",
                         long_record));
    report.text += report.good ? "good\n" : "not good\n";
    return report;
}

} // namespace postern::policyd_spf
