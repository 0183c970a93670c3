// How logins end: what workers found out, what the client is told and when.
#include "auth-socket/session.h"

#include "auth-socket/replies.h"
#include "common/base/encoding.h"

#include <algorithm>

namespace postern::auth_socket {

namespace {

// What the policy server may make a login wait for, with the penalty; below answer_limit with the rest.
constexpr std::chrono::seconds longest_wait{6};

} // namespace

void ClientSession::collect() {
    for (auto results = completions_->take(); !results.empty(); results = completions_->take()) {
        for (auto& done : results) {
            auto const at = requests_.find(done.id);
            if (at == requests_.end() || at->second.serial != done.serial) continue; // cancelled meanwhile
            auto& pending = at->second;
            pending.request = std::move(done.request);
            if (done.outcome.wait_first.count() > 0 && pending.question) {
                wait_first(done.id, done.outcome.wait_first);
                continue;
            }
            if (!done.secret_only || !done.outcome.credential) {
                // Nothing to hold the client's proof against: that is no login.
                if (done.secret_only && done.outcome.verdict == Verdict::ok)
                    done.outcome.verdict = Verdict::refused;
                finish(done.id, done.outcome);
                continue;
            }
            pending.outcome = std::move(done.outcome);
            auto const credential = *std::exchange(pending.outcome->credential, std::nullopt);
            take_step(done.id, pending.mechanism->secret(credential, pending.request));
        }
    }
}

void ClientSession::finish(std::uint32_t id, Outcome const& outcome) {
    if (outcome.verdict == Verdict::ok) return conclude(id, outcome);
    auto const challenge =
        outcome.verdict == Verdict::temporary ? std::nullopt : requests_.at(id).mechanism->refusal(outcome);
    if (challenge)
        tell_refusal(id, outcome, *challenge);
    else
        fail(id, outcome);
}

void ClientSession::conclude(std::uint32_t id, Outcome const& outcome) {
    auto& pending = requests_.at(id);
    if (pending.final_data.empty() || pending.request.client.final_response_ok)
        return succeed(id, outcome, std::string(pending.final_data));
    pending.phase = Phase::waiting_for_client;
    pending.mechanism = nullptr;
    pending.outcome = outcome;
    output_ += Line("CONT", id).add(base64_encode(pending.final_data)).text();
}

void ClientSession::succeed(std::uint32_t id, Outcome const& outcome, std::string const& final_data) {
    auto const ended = requests_.extract(id);
    auto& pending = ended.mapped();
    auto& request = pending.request;
    surroundings_.penalties.succeeded(request.client.remote_ip, pending.account);
    authority_->report(request, outcome);
    surroundings_.counts.count(request.mechanism, Verdict::ok);
    auto text = ok_line(id, request, outcome, final_data);
    if (outcome.answer_after.count() > 0)
        delayed_.push_back(
            {id, std::min(surroundings_.now() + outcome.answer_after, pending.last_heard + answer_limit),
             std::move(text)});
    else
        output_ += text;
    request.password = Secret();
    if (settings_.login_role) surroundings_.logins.keep(cookie_, id, {std::move(request), outcome});
}

// The policy server wants the login slowed down; what was waited before counts, and Postfix goes away after
// 10 s.
void ClientSession::wait_first(std::uint32_t id, std::chrono::milliseconds span) {
    auto& pending = requests_.at(id);
    auto const now = surroundings_.now();
    pending.phase = Phase::waiting_out_penalty;
    pending.begins = std::clamp(pending.last_heard + longest_wait, now, now + span);
    pending.held = std::exchange(pending.question, std::nullopt);
    if (pending.begins <= now) start(id);
}

// It counts now: a client that does not care for the end may not guess for nothing.
void ClientSession::tell_refusal(std::uint32_t id, Outcome const& outcome, Challenge const& challenge) {
    auto& pending = requests_.at(id);
    note_failure(pending, outcome);
    pending.outcome = outcome;
    pending.is_refused = true;
    pending.phase = Phase::waiting_for_client;
    output_ += Line("CONT", id).add(base64_encode(challenge.data)).text();
}

void ClientSession::fail(std::uint32_t id, Outcome const& outcome) {
    auto const ended = requests_.extract(id);
    auto const& pending = ended.mapped();
    auto const& request = pending.request;
    surroundings_.counts.count(request.mechanism, outcome.verdict);
    if (outcome.verdict == Verdict::temporary) {
        if (closes_on_temporary())
            finished_ = true;
        else
            output_ += fail_line(id, request, outcome);
        return;
    }
    if (!pending.is_refused) note_failure(pending, outcome);
    auto text = fail_line(id, request, outcome);
    auto const now = surroundings_.now();
    auto const due = std::min(now + settings_.failure_delay, pending.last_heard + answer_limit);
    if (outcome.without_delay || due <= now)
        output_ += text;
    else
        delayed_.push_back({id, due, std::move(text)});
}

void ClientSession::note_failure(Pending const& pending, Outcome const& outcome) {
    authority_->report(pending.request, outcome);
    if (outcome.verdict != Verdict::password_mismatch && outcome.verdict != Verdict::unknown_user) return;
    auto const& request = pending.request;
    surroundings_.penalties.failed(request.client.remote_ip, pending.account,
                                   pending.plaintext ? std::optional(request.password.reveal())
                                                     : std::nullopt);
}

// Of the clients met, those that announce version 1.0 are Postfix and Exim; neither looks at a FAIL's code.
bool ClientSession::closes_on_temporary() const {
    switch (settings_.temporary_failure) {
    case TemporaryFailure::is_told: return false;
    case TemporaryFailure::closes: return true;
    case TemporaryFailure::closes_for_minor_0: return client_minor_ == 0U;
    }
    return false;
}

void ClientSession::pass_time() {
    auto const now = surroundings_.now();
    for (auto const& each : delayed_)
        if (each.due <= now) output_ += each.text;
    std::erase_if(delayed_, [now](Delayed const& each) { return each.due <= now; });
    std::vector<std::uint32_t> begun;
    for (auto const& [id, pending] : requests_)
        if (pending.phase == Phase::waiting_out_penalty && pending.begins <= now) begun.push_back(id);
    for (auto const id : begun) start(id);
    if (!begun.empty()) {
        collect();
        wipe_stack_below();
    }
    auto const expired = [now](auto const& each) { return each.second.started + request_lifetime <= now; };
    if (std::erase_if(requests_, expired) > 0)
        surroundings_.log.info("auth: a login was not finished by its client within {} s",
                               request_lifetime.count());
}

std::optional<Deadline> ClientSession::wakes_at() const {
    auto earliest = TimePoint::max();
    for (auto const& each : delayed_) earliest = std::min(earliest, each.due);
    for (auto const& [id, pending] : requests_)
        earliest = std::min(earliest, pending.phase == Phase::waiting_out_penalty
                                          ? pending.begins
                                          : pending.started + request_lifetime);
    if (earliest == TimePoint::max()) return std::nullopt;
    return Deadline::at(earliest);
}

} // namespace postern::auth_socket
