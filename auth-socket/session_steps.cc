// What a login's mechanism asks for next: a password checked, a secret found, somebody trusted.
#include "auth-socket/password_job.h"
#include "auth-socket/session.h"

#include "common/base/encoding.h"
#include "common/base/secret.h"

#include <exception>

namespace postern::auth_socket {

namespace {

bool may_log_in(Outcome const& outcome) {
    return outcome.verdict == Verdict::ok && !outcome.credential_is_invented;
}

} // namespace

void ClientSession::start(std::uint32_t id) {
    auto& pending = requests_.at(id);
    if (auto held = std::exchange(pending.held, std::nullopt)) return take_step(id, std::move(*held));
    auto initial = std::exchange(pending.initial_response, std::nullopt);
    auto step = pending.mechanism->start(initial ? std::optional<std::string_view>(*initial) : std::nullopt);
    if (initial) wipe(*initial);
    take_step(id, std::move(step));
}

void ClientSession::take_step(std::uint32_t id, Step step) {
    auto& pending = requests_.at(id);
    if (authority_->asks_web(pending.request.mechanism)) pending.question = step;
    if (auto const* challenge = std::get_if<Challenge>(&step)) {
        pending.phase = Phase::waiting_for_client;
        output_ += Line("CONT", id).add(base64_encode(challenge->data)).text();
    } else if (auto const* check = std::get_if<CheckPassword>(&step)) {
        if (!waits_for_user(id, check->user, step)) this->check(id, *check);
    } else if (auto const* need = std::get_if<NeedSecret>(&step)) {
        if (!waits_for_user(id, need->user, step)) ask_for_secret(id, *need);
    } else if (auto const* trusted = std::get_if<Trusted>(&step)) {
        trust(id, *trusted);
    } else if (auto const* proven = std::get_if<Proven>(&step)) {
        prove(id, *proven);
    } else {
        refuse(id, std::get<Refused>(step));
    }
}

// Only now the user is known; what was waited for the address counts. The step is kept for then.
bool ClientSession::waits_for_user(std::uint32_t id, std::string const& user, Step& step) {
    auto& pending = requests_.at(id);
    auto const& client = pending.request.client;
    pending.account = authority_->account(pending.request, user);
    if (client.no_penalty) return false;
    auto const penalty = surroundings_.penalties.delay(client.remote_ip, pending.account);
    if (pending.started + penalty <= surroundings_.now()) return false;
    pending.phase = Phase::waiting_out_penalty;
    pending.begins = pending.started + penalty;
    pending.held = std::move(step);
    return true;
}

void ClientSession::check(std::uint32_t id, CheckPassword const& check) {
    auto& pending = requests_.at(id);
    pending.request.original_user = check.user;
    pending.request.password = check.password;
    if (auto const outcome = authority_->login_at_hand(pending.request, check.authorization, check.password))
        return finish(id, *outcome);
    pending.phase = Phase::working;
    auto request = pending.request;
    request.answer_by = Deadline::at(pending.last_heard + answer_limit);
    auto& executor = surroundings_.executor_for(*authority_, request.mechanism);
    auto const key = request.turn();
    auto const queued = executor.submit(
        key, std::make_unique<PasswordJob>(
                 authority_, std::move(request), check.authorization, executor, surroundings_.log,
                 [completions = completions_, id, serial = pending.serial](Request done, Outcome outcome) {
                     completions->add({id, serial, std::move(done), std::move(outcome), false});
                 }));
    if (!queued) refuse_for_now(id);
}

void ClientSession::ask_for_secret(std::uint32_t id, NeedSecret const& need) {
    requests_.at(id).request.original_user = need.user;
    work(
        id,
        [authority = authority_, need](Request& request) {
            return authority->find_secret(request, need.authorization, need.schemes);
        },
        true);
}

// A certificate stands in for the password only where the passdb says nopassword, as Dovecot has it.
void ClientSession::trust(std::uint32_t id, Trusted const& trusted) {
    auto& pending = requests_.at(id);
    pending.request.original_user = trusted.user;
    if (trusted.ground != Trusted::Ground::certificate) {
        pending.request.user = trusted.user;
        Outcome outcome;
        outcome.verdict = Verdict::ok;
        outcome.user = trusted.user;
        if (trusted.ground == Trusted::Ground::anonymous) outcome.reply.set("anonymous", std::nullopt);
        return succeed(id, outcome, "");
    }
    work(
        id,
        [authority = authority_, trusted](Request& request) {
            return authority->check_password(request, trusted.authorization, Secret());
        },
        false);
}

void ClientSession::prove(std::uint32_t id, Proven const& proven) {
    auto& pending = requests_.at(id);
    if (!pending.outcome) return fail(id, Outcome{});
    auto const outcome = *pending.outcome;
    if (!may_log_in(outcome)) return fail(id, outcome);
    pending.final_data = proven.final_data;
    if (!authority_->settles()) return conclude(id, outcome);
    work(
        id,
        [authority = authority_, outcome](Request& request) { return authority->settle(request, outcome); },
        false);
}

void ClientSession::refuse(std::uint32_t id, Refused const& refused) {
    auto& pending = requests_.at(id);
    if (pending.outcome && pending.outcome->credential_is_invented) { // logged when it was found out
        auto const outcome = *pending.outcome;
        return fail(id, outcome);
    }
    authority_->log_mismatch(pending.request, refused.why);
    Outcome outcome;
    outcome.verdict = refused.mismatch ? Verdict::password_mismatch : Verdict::refused;
    outcome.user = pending.request.user;
    fail(id, outcome);
}

void ClientSession::work(std::uint32_t id, std::function<Outcome(Request&)> job, bool secret_only) {
    auto& pending = requests_.at(id);
    pending.phase = Phase::working;
    auto request = std::make_shared<Request>(pending.request);
    request->answer_by = Deadline::at(pending.last_heard + answer_limit);
    auto& executor = surroundings_.executor_for(*authority_, request->mechanism);
    auto const queued = executor.submit(
        request->turn(), [&log = surroundings_.log, completions = completions_, id, serial = pending.serial,
                          secret_only, request, job = std::move(job)] {
            Outcome outcome; // temporary until something better is known
            try {
                outcome = job(*request);
            } catch (std::exception const& exception) {
                log.error("auth: login{}: {}", request->log_name(), exception.what());
            }
            completions->add({id, serial, std::move(*request), std::move(outcome), secret_only});
            wipe_stack_below();
        });
    if (!queued) refuse_for_now(id);
}

void ClientSession::refuse_for_now(std::uint32_t id) {
    surroundings_.log.warning("auth: login{}: too many logins wait, this one is refused for now",
                              requests_.at(id).request.log_name());
    finish(id, Outcome{});
}

} // namespace postern::auth_socket
