// The series and their labels.
#include "milter-dkim/report/outcomes.h"

#include "common/base/text.h"
#include "common/mail/domain.h"

#include <fmt/format.h>

namespace postern::milter_dkim {

namespace {

using Kind = SignatureResult::Kind;

constexpr Kind all_kinds[] = {Kind::pass,    Kind::fail,      Kind::policy,
                              Kind::neutral, Kind::temperror, Kind::permerror};

Counter& signatures_made(Metrics& metrics, std::string_view algorithm) {
    return metrics.counter("postern_dkim_signatures_made_total", "Signatures made.",
                           fmt::format("algorithm=\"{}\"", algorithm));
}

Counter& messages(Metrics& metrics, std::string_view outcome) {
    return metrics.counter("postern_dkim_messages_total",
                           "Messages: signed, verified, and to verify but without a signature.",
                           fmt::format("outcome=\"{}\"", outcome));
}

} // namespace

double seconds_since(std::chrono::steady_clock::time_point began) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

Outcomes::Outcomes(Metrics& metrics)
    : signing_time(metrics.histogram("postern_dkim_signing_seconds", "Time to make a message's signatures.")),
      verifying_time(
          metrics.histogram("postern_dkim_verifying_seconds", "Time to verify a message, DNS included.")),
      signed_rsa_(signatures_made(metrics, "rsa-sha256")),
      signed_ed25519_(signatures_made(metrics, "ed25519-sha256")), signed_(messages(metrics, "signed")),
      verified_(messages(metrics, "verified")), unsigned_(messages(metrics, "unsigned")),
      tempfails_(metrics.counter("postern_dkim_tempfails_total", "Messages that got a temporary failure.")) {
    for (auto const of : {DomainClass::author, DomainClass::other})
        for (auto const kind : all_kinds)
            results_[static_cast<std::size_t>(of)][static_cast<std::size_t>(kind)] =
                &metrics.counter("postern_dkim_signatures_verified_total",
                                 "Signatures verified, by result and by whether they name the author's "
                                 "domain or one above it.",
                                 fmt::format("result=\"{}\",domain=\"{}\"", to_string(kind),
                                             of == DomainClass::author ? "author" : "other"));
}

void Outcomes::count_signed(Algorithm algorithm) {
    (algorithm == Algorithm::rsa_sha256 ? signed_rsa_ : signed_ed25519_).add();
}

void Outcomes::count(SignatureResult const& result, std::string_view sender_domain) {
    bool const author = !sender_domain.empty() && !result.domain.empty() &&
                        mail::is_at_or_below(sender_domain, to_lower(result.domain));
    auto const of = author ? DomainClass::author : DomainClass::other;
    results_[static_cast<std::size_t>(of)][static_cast<std::size_t>(result.kind)]->add();
}

} // namespace postern::milter_dkim
