// The DMARC verdict on one message.
#include "milter-dmarc/evaluate.h"

#include "common/mail/domain.h"

namespace postern::milter_dmarc {

namespace {

// Strict: the same name. Relaxed: the same organizational domain, each found from its own name.
Result<bool> aligns(std::string const& identifier, std::string const& author, Alignment alignment,
                    Method method, Discovery& discovery) {
    if (identifier == author) return true;
    if (alignment == Alignment::strict) return false;
    auto const organization = discovery.organizational_domain(author, method);
    if (!organization) return std::unexpected(organization.error());
    // A name outside of the organization's tree cannot belong to it, and needs no questions.
    if (!mail::is_at_or_below(identifier, *organization)) return false;
    auto const other = discovery.organizational_domain(identifier, method);
    if (!other) return std::unexpected(other.error());
    return *other == *organization;
}

// Collects what the identities say. An identity that may yet turn out to align leaves the answer open: its
// own check failed temporarily, or its organizational domain could not be found out.
class Aligner {
  public:
    Aligner(std::string const& author, FoundRecord const& found, Discovery& discovery)
        : author_(author), found_(found), discovery_(discovery) {}

    bool passes(std::string const& result, std::string const& domain, Alignment alignment) {
        if (domain.empty() || (result != "pass" && result != "temperror")) return false;
        auto const aligned = aligns(domain, author_, alignment, found_.method, discovery_);
        if (!aligned)
            open_ = aligned.error().text;
        else if (*aligned && result == "temperror")
            open_ = "temporary error of " + domain;
        return aligned && *aligned && result == "pass";
    }
    std::string const& open() const { return open_; }

  private:
    std::string const& author_;
    FoundRecord const& found_;
    Discovery& discovery_;
    std::string open_;
};

void choose_policy(Evaluation& evaluation, std::string const& author) {
    auto const& [domain, record, method, notes] = *evaluation.found;
    bool const below = domain != author;
    evaluation.policy = below && record.sp ? *record.sp : record.p;
    evaluation.policy_tag = below && record.sp ? "sp" : "p";
}

// np applies to names that do not exist. What cannot be found out counts as existing: sp is the milder claim.
void apply_np(Evaluation& evaluation, std::string const& author, Discovery& discovery) {
    auto const& [domain, record, method, notes] = *evaluation.found;
    if (domain == author || !record.np || *record.np == evaluation.policy) return;
    auto const exists = discovery.exists(author);
    if (!exists || *exists) return;
    evaluation.policy = *record.np;
    evaluation.policy_tag = "np";
}

Policy lowered(Policy policy) { return policy == Policy::reject ? Policy::quarantine : Policy::none; }

} // namespace

std::string_view to_string(DmarcResult result) {
    switch (result) {
    case DmarcResult::none: return "none";
    case DmarcResult::pass: return "pass";
    case DmarcResult::fail: return "fail";
    case DmarcResult::temperror: return "temperror";
    case DmarcResult::permerror: return "permerror";
    }
    return {};
}

Evaluation evaluate(std::string const& author, Identities const& identities, Discovery& discovery) {
    Evaluation evaluation;
    auto found = discovery.record_for(author);
    if (!found) {
        evaluation.result = DmarcResult::temperror;
        evaluation.reason = found.error().text;
        return evaluation;
    }
    if (!*found) return evaluation;
    if ((*found)->record.verdict == Record::Verdict::unusable) {
        evaluation.reason = "unusable record at " + (*found)->domain;
        return evaluation;
    }
    evaluation.found = std::move(**found);
    auto const& record = evaluation.found->record;
    choose_policy(evaluation, author);

    Aligner aligner(author, *evaluation.found, discovery);
    if (auto const& spf = identities.spf)
        evaluation.spf_aligned = aligner.passes(spf->result, spf->domain, record.aspf);
    for (auto const& each : identities.dkim)
        if (!evaluation.dkim_aligned)
            evaluation.dkim_aligned = aligner.passes(each.result, each.domain, record.adkim);

    if (evaluation.spf_aligned || evaluation.dkim_aligned) {
        evaluation.result = DmarcResult::pass;
    } else if (!aligner.open().empty()) {
        evaluation.result = DmarcResult::temperror;
        evaluation.reason = aligner.open();
    } else {
        evaluation.result = DmarcResult::fail;
        apply_np(evaluation, author, discovery);
        evaluation.disposition = record.testing ? lowered(evaluation.policy) : evaluation.policy;
    }
    return evaluation;
}

} // namespace postern::milter_dmarc
