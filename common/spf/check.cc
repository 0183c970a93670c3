// The entrance to check_host().
#include "common/spf/check.h"

#include "common/base/text.h"
#include "common/spf/evaluation.h"

namespace postern::spf {

std::string_view to_string(Verdict verdict) {
    switch (verdict) {
    case Verdict::none: return "none";
    case Verdict::neutral: return "neutral";
    case Verdict::pass: return "pass";
    case Verdict::fail: return "fail";
    case Verdict::softfail: return "softfail";
    case Verdict::temperror: return "temperror";
    case Verdict::permerror: return "permerror";
    }
    return "temperror";
}

Mailbox split_sender(std::string_view sender, std::string_view helo) {
    if (sender.empty()) return {"postmaster", std::string(helo)};
    auto const [local_part, domain] = halve_at_last(sender, '@');
    if (!domain) return {"postmaster", std::string(sender)};
    return {local_part.empty() ? "postmaster" : std::string(local_part), std::string(*domain)};
}

Outcome Checker::check(Query const& query, CheckLimits const& limits, Trace const& trace) const {
    return Evaluation(resolver_, engine_, query, limits, trace).run();
}

} // namespace postern::spf
