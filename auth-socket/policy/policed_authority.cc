// An authority whose logins a policy server may refuse or slow down.
#include "auth-socket/policy/policed_authority.h"

#include <algorithm>

namespace postern::auth_socket {

namespace {

constexpr std::int64_t longest_wait = 60; // seconds; the session waits for less

std::string_view fail_type(Outcome const& outcome) {
    if (outcome.refused_by_policy) return "policy";
    switch (outcome.verdict) {
    case Verdict::unknown_user: return "account";
    case Verdict::password_expired: return "expired";
    case Verdict::user_disabled: return "disabled";
    case Verdict::temporary: return "internal";
    case Verdict::ok: return "";
    case Verdict::password_mismatch:
    case Verdict::refused:
    case Verdict::wrong_network:
    case Verdict::not_authorized: break;
    }
    return "credentials";
}

} // namespace

bool PolicedAuthority::asks_web(std::string_view mechanism) const {
    auto const& settings = server_->settings();
    return settings.check_before || settings.check_after || inner_->asks_web(mechanism);
}

Outcome PolicedAuthority::refused(Request const& request, PolicyAdvice const& advice) const {
    log_.info("auth: policy{}: Authentication failure due to policy server refusal{}{}", request.log_name(),
              advice.message.empty() ? "" : ": ", advice.message);
    Outcome outcome;
    outcome.verdict = Verdict::refused;
    outcome.refused_by_policy = true;
    outcome.user = request.user;
    if (!advice.message.empty()) outcome.reply.set("reason", advice.message);
    return outcome;
}

// It may have said yes.
Outcome PolicedAuthority::unasked(Request const& request) const {
    log_.info("auth: policy{}: the policy server could not be asked", request.log_name());
    Outcome outcome; // temporary
    outcome.user = request.user;
    return outcome;
}

// Before anybody is asked about the password. Absent: go on.
std::optional<Outcome> PolicedAuthority::objection(Request& request, std::string_view password) const {
    auto const& settings = server_->settings();
    if (!settings.check_before || std::exchange(request.policy_asked, true)) return std::nullopt;
    request.user = inner_->account(request, request.original_user);
    auto const advice = server_->allow(request, password);
    if (advice.is_missing && !settings.log_only) return unasked(request);
    if (advice.status == 0) return std::nullopt;
    if (settings.log_only) {
        log_.info("auth: policy{}: the policy server says {}, which is only logged", request.log_name(),
                  advice.status);
        return std::nullopt;
    }
    if (advice.status < 0) return refused(request, advice);
    if (request.client.no_penalty) return std::nullopt;
    Outcome outcome;
    outcome.wait_first = std::chrono::seconds(std::min(advice.status, longest_wait));
    return outcome;
}

Outcome PolicedAuthority::check_password(Request& request, std::string_view authorization,
                                         Secret const& password) const {
    if (auto no = objection(request, password.reveal())) return std::move(*no);
    auto const outcome = inner_->check_password(request, authorization, password);
    return outcome.verdict == Verdict::ok && settles() ? settle(request, outcome) : outcome;
}

// A refusal ends a challenge mechanism at once, as in Dovecot: it says nothing about the account.
Outcome PolicedAuthority::find_secret(Request& request, std::string_view authorization,
                                      std::span<std::string const> schemes) const {
    if (auto no = objection(request, "")) return std::move(*no);
    return inner_->find_secret(request, authorization, schemes);
}

Outcome PolicedAuthority::settle(Request& request, Outcome const& outcome) const {
    if (!request.authenticated_user.empty()) return outcome; // master users are not asked about
    auto const advice = server_->allow(request, request.password.reveal());
    if (server_->settings().log_only) return outcome;
    if (advice.is_missing) return unasked(request);
    if (advice.status >= 0) return outcome;
    return refused(request, advice);
}

// A failure of ours is not held against the user.
void PolicedAuthority::report(Request const& request, Outcome const& outcome) const {
    if (!server_->settings().report_after || outcome.verdict == Verdict::temporary || request.user.empty() ||
        !request.authenticated_user.empty())
        return;
    auto copy = std::make_shared<Request>(request);
    copy->answer_by = Deadline::never();
    PolicyReport const report{outcome.verdict == Verdict::ok, outcome.refused_by_policy, fail_type(outcome)};
    (void)executor_.submit(request.turn(), [server = server_, copy, report] {
        server->report(*copy, copy->password.reveal(), report);
    });
}

} // namespace postern::auth_socket
