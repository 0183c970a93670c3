// The rules of one identity.
#include "policyd-spf/rules.h"

#include "common/base/text.h"
#include "policyd-spf/python_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace postern::policyd_spf {

namespace {

// In the order of stock's list.
constexpr std::array<spf::Verdict, 7> verdicts = {
    spf::Verdict::pass, spf::Verdict::none,      spf::Verdict::neutral,  spf::Verdict::softfail,
    spf::Verdict::fail, spf::Verdict::temperror, spf::Verdict::permerror};

bool is_in_or_below(std::string_view name, std::vector<std::string> const& domains) {
    return std::ranges::any_of(domains, [&](std::string const& domain) {
        return equals_ignoring_case(name, domain) || ends_with_ignoring_case(name, "." + domain);
    });
}

bool rejects(RejectPolicy policy, spf::Verdict verdict) {
    switch (policy) {
    case RejectPolicy::spf_not_pass:
        if (verdict == spf::Verdict::neutral) return true;
        [[fallthrough]];
    case RejectPolicy::softfail:
        if (verdict == spf::Verdict::softfail) return true;
        [[fallthrough]];
    case RejectPolicy::fail:
    case RejectPolicy::null_sender: return verdict == spf::Verdict::fail;
    case RejectPolicy::never:
    case RejectPolicy::no_check:
    case RejectPolicy::unknown: return false;
    }
    return false;
}

// The words of those results that lead to the kind.
std::string words_of(Rules const& rules, Answer::Kind kind) {
    std::vector<std::string> words;
    auto const add = [&](spf::Verdict verdict) {
        if (rules.kind_of(verdict) == kind) words.push_back(verdict_word(verdict));
    };
    if (kind == Answer::Kind::reject) // stock adds what is rejected from the worst on
        for (auto const verdict :
             {spf::Verdict::fail, spf::Verdict::softfail, spf::Verdict::neutral, spf::Verdict::permerror})
            add(verdict);
    else
        std::ranges::for_each(verdicts, add);
    return python_list(words);
}

// Stock takes errors out of the list only later.
std::string words_left(Rules const& rules) {
    std::vector<std::string> words;
    for (auto const verdict : verdicts)
        if (!rejects(rules.policy, verdict)) words.push_back(verdict_word(verdict));
    return python_list(words);
}

std::string as_given(Settings const& settings, std::string_view name) {
    auto const found = std::ranges::find(settings.given, name, &GivenValue::name);
    if (found != settings.given.end()) return found->value;
    auto const text = settings_table().find(name)->default_text;
    return text.empty() ? "None" : std::string(text);
}

} // namespace

std::string domain_of_sender(std::string_view sender) {
    auto const at = halve_at_last(sender, '@');
    return at.after ? std::string(*at.after) : std::string();
}

Answer::Kind Rules::kind_of(spf::Verdict verdict) const {
    if (policy == RejectPolicy::never) return Answer::Kind::prepend;
    if (verdict == spf::Verdict::temperror && temperror_defer) return Answer::Kind::defer;
    if (verdict == spf::Verdict::permerror && permerror_reject) return Answer::Kind::reject;
    return rejects(policy, verdict) ? Answer::Kind::reject : Answer::Kind::prepend;
}

Answer::Kind Rules::fate_of(spf::Verdict verdict) const {
    return only_null_sender ? Answer::Kind::dunno : kind_of(verdict);
}

Rules rules_of(Scope scope, Subject const& subject, Settings const& settings) {
    bool const helo = scope == Scope::helo;
    Rules rules{.scope = scope,
                .policy = helo ? settings.helo_reject : settings.mail_from_reject,
                .permerror_reject = settings.permerror_reject,
                .temperror_defer = settings.temperror_defer};
    rules.by_domain = is_in_or_below(helo ? subject.helo : domain_of_sender(subject.sender),
                                     settings.reject_not_pass_domains);
    if (rules.by_domain) rules.policy = RejectPolicy::spf_not_pass;
    rules.only_null_sender =
        helo && settings.helo_reject == RejectPolicy::null_sender && !subject.sender.empty();
    return rules;
}

std::vector<std::string> rules_lines(Rules const& rules, Settings const& settings) {
    bool const helo = rules.scope == Scope::helo;
    std::string_view const scope = helo ? "helo" : "mfrom";
    auto const by_domain = python_flag(rules.by_domain);
    return {fmt::format("_get_resultcodes: scope: {}, Reject_Not_Pass_Domains: {}, helo_policy: {}, "
                        "mfrom_policy: {}",
                        scope, as_given(settings, "Reject_Not_Pass_Domains"),
                        as_given(settings, "HELO_reject"), as_given(settings, "Mail_From_reject")),
            fmt::format("Scope {} unused results: {}", scope, words_left(rules)),
            fmt::format("{} policy {} results: actions: {{'defer': {}, 'reject': {}, 'prepend': {}}} local "
                        "{{'local_helo': {}, 'local_mfrom': {}}}",
                        scope, rules.policy == RejectPolicy::never ? "false" : "true",
                        words_of(rules, Answer::Kind::defer), words_of(rules, Answer::Kind::reject),
                        words_of(rules, Answer::Kind::prepend), helo ? by_domain : python_flag(false),
                        helo ? python_flag(false) : by_domain)};
}

} // namespace postern::policyd_spf
