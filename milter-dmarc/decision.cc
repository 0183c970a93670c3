// From the author domains to what happens with the message.
#include "milter-dmarc/decision.h"

#include "common/base/text.h"
#include "common/mail/auth_results.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::milter_dmarc {

namespace {

// Which of two evaluations of one message weighs more: a policy to apply, then an open question, then a
// failure.
int weight(Evaluation const& evaluation) {
    if (evaluation.disposition == Policy::reject) return 4;
    if (evaluation.result == DmarcResult::temperror) return 3;
    if (evaluation.disposition == Policy::quarantine) return 2;
    return evaluation.result == DmarcResult::fail ? 1 : 0;
}

std::string_view disposition_word(Action action) {
    switch (action) {
    case Action::reject: return "reject";
    case Action::quarantine: return "quarantine";
    case Action::accept:
    case Action::discard:
    case Action::tempfail: return "none";
    }
    return {};
}

void apply_policy(Decision& decision, Judgement const& judgement, Settings const& settings, unsigned sample) {
    auto const& evaluation = judgement.evaluation;
    auto const& [domain, record, method, notes] = *evaluation.found;
    decision.copies_failure = evaluation.disposition != Policy::none && !settings.copy_failures_to.empty();
    bool const sampled = settings.ignore_pct || sample < static_cast<unsigned>(record.pct);
    if (!settings.reject_failures || !sampled) return;
    if (evaluation.disposition == Policy::reject) {
        decision.action = Action::reject;
        decision.reply = replace_all(settings.reject_text, "%s", domain);
    } else if (evaluation.disposition == Policy::quarantine && settings.hold_quarantined_messages) {
        decision.action = Action::quarantine;
        decision.hold_reason = "quarantined by DMARC policy for " + domain;
    }
}

} // namespace

DmarcResult Judgement::result() const { return ambiguous ? DmarcResult::permerror : evaluation.result; }

Judgement judge(Authors const& authors, Identities const& identities, Discovery& discovery) {
    Judgement judgement;
    judgement.ambiguous = !authors.is_single() && !authors.is_nobody();
    judgement.unreadable = authors.malformed || authors.domains.size() > max_evaluated_authors;
    for (std::size_t i = 0; i < std::min(authors.domains.size(), max_evaluated_authors); ++i) {
        auto evaluation = evaluate(authors.domains[i], identities, discovery);
        if (i > 0 && weight(evaluation) <= weight(judgement.evaluation)) continue;
        judgement.author = authors.domains[i];
        judgement.evaluation = std::move(evaluation);
    }
    return judgement;
}

Decision decide(Judgement const& judgement, Settings const& settings, unsigned sample) {
    Decision decision;
    if (judgement.unreadable && settings.reject_failures) {
        decision.action = Action::reject;
        decision.reply = "the From field cannot be read, so DMARC cannot be checked";
    } else if (judgement.evaluation.result == DmarcResult::temperror && settings.reject_failures) {
        decision.action = Action::tempfail;
        decision.reply = "the DMARC policy of " + judgement.author + " cannot be looked up now";
    } else if (judgement.evaluation.result == DmarcResult::fail) {
        apply_policy(decision, judgement, settings, sample);
    }
    return decision;
}

std::string results_field(std::string const& authserv_id, Judgement const& judgement,
                          Decision const& decision) {
    auto const result = judgement.result();
    mail::AuthResult dmarc{"dmarc", std::string(to_string(result)), {}, {}, {}};
    if (judgement.ambiguous)
        dmarc.comment = judgement.unreadable ? "unreadable From" : "several author domains";
    else if (result != DmarcResult::temperror && !judgement.author.empty())
        dmarc.comment = fmt::format("p={} dis={}", to_string(judgement.evaluation.policy),
                                    disposition_word(decision.action));
    if (!judgement.author.empty()) dmarc.properties.push_back({"header", "from", judgement.author});
    return mail::make_auth_results({authserv_id, {std::move(dmarc)}}, 0);
}

} // namespace postern::milter_dmarc
