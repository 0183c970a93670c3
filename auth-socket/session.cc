// A connection on an auth client or login socket.
#include "auth-socket/session.h"

#include "auth-socket/replies.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <algorithm>
#include <exception>

namespace postern::auth_socket {

namespace {

// What the policy server may make a login wait for, with the penalty; below answer_limit with the rest.
constexpr std::chrono::seconds longest_wait{6};

bool may_log_in(Outcome const& outcome) {
    return outcome.verdict == Verdict::ok && !outcome.credential_is_invented;
}

} // namespace

ClientSession::ClientSession(ClientSettings settings, std::shared_ptr<Authority const> authority,
                             Surroundings& surroundings, net::Waker waker)
    : settings_(std::move(settings)), authority_(std::move(authority)), surroundings_(surroundings),
      completions_(std::make_shared<Completions<Done>>(std::move(waker))),
      cookie_(hex_encode(random_octets(16))) {}

ClientSession::~ClientSession() { surroundings_.logins.forget(cookie_); }

// The whole block at once: Exim and others wait for it before they write. Postfix wants VERSION first and a
// MECH before SPID.
std::string ClientSession::greeting() {
    std::string text = Line("VERSION", protocol_major).add(std::to_string(client_protocol_minor)).text();
    std::vector<std::string> const only_token{"DOVECOT-TOKEN"};
    for (auto const& name : settings_.token_role ? only_token : settings_.mechanisms) {
        auto const* kind = mechanism_named(name);
        if (kind == nullptr) continue;
        text += "MECH\t" + std::string(kind->name) + (kind->flags.empty() ? "" : "\t") +
                std::string(kind->flags) + "\n";
    }
    text += Line("SPID", surroundings_.server_pid).text();
    text += Line("CUID", ++surroundings_.connection_ids).text();
    text += Line("COOKIE").add(cookie_).text();
    return text + "DONE\n";
}

MechanismKind const* ClientSession::mechanism_named(std::string_view name) const {
    if (settings_.token_role) return name == token_mechanism().name ? &token_mechanism() : nullptr;
    auto const known = std::ranges::find(settings_.mechanisms, name) != settings_.mechanisms.end();
    return known ? find_mechanism(name) : nullptr;
}

Result<std::string> ClientSession::receive(std::string_view bytes) {
    lines_.feed(bytes);
    while (!finished_) {
        auto line = lines_.next();
        if (!line) return std::unexpected(std::move(line.error()));
        if (!*line) break;
        auto done = handle(**line);
        wipe(**line);
        if (!done) return std::unexpected(std::move(done.error()));
        collect(); // what is ready is answered before the next line is looked at
    }
    return wake();
}

Result<std::string> ClientSession::wake() {
    collect();
    pass_time();
    return take_output();
}

std::string ClientSession::take_output() { return std::exchange(output_, {}); }

Result<> ClientSession::handle(std::string& line) {
    auto fields = line_fields(line);
    Result<> done;
    if (!client_minor_)
        done = hello(fields);
    else if (fields[0] == "CPID")
        done = hello(fields);
    else if (!client_pid_)
        done = malformed("CPID expected before " + printable(fields[0], 20));
    else if (fields[0] == "AUTH")
        done = begin(fields);
    else if (fields[0] == "CONT")
        done = go_on(fields);
    else if (fields[0] == "CANCEL")
        done = cancel(fields);
    else
        done = malformed("unknown command " + printable(fields[0], 20));
    wipe_fields(fields);
    return done;
}

Result<> ClientSession::hello(std::vector<std::string> const& fields) {
    if (!client_minor_) {
        auto const minor = version_minor(fields);
        if (!minor) return std::unexpected(minor.error());
        client_minor_ = *minor;
        return {};
    }
    auto const pid = fields.size() > 1 ? request_id(fields[1]) : std::nullopt;
    if (!pid || client_pid_) return malformed("a bad or a second CPID");
    client_pid_ = *pid;
    return {};
}

ClientSession::Pending ClientSession::pending_request(AuthCommand& command, MechanismKind const& kind) {
    auto context = settings_.mechanism;
    if (settings_.user_from_certificate) context.certificate_user = command.client.certificate_user;
    context.tokens = surroundings_.tokens.get();
    context.valid_certificate = command.client.valid_client_certificate;
    auto const now = surroundings_.now();
    Pending pending{.serial = ++serial_,
                    .phase = Phase::waiting_out_penalty,
                    .started = now,
                    .begins = now,
                    .last_heard = now,
                    .initial_response = {},
                    .held = {},
                    .question = {},
                    .account = {},
                    .mechanism = kind.make(context),
                    .plaintext = kind.plaintext,
                    .request = {},
                    .outcome = {},
                    .is_refused = false,
                    .final_data = {}};
    pending.request.mechanism = std::move(command.mechanism);
    pending.request.client = std::move(command.client);
    pending.request.id = command.id;
    pending.request.client_pid = *client_pid_;
    return pending;
}

Result<> ClientSession::begin(std::vector<std::string> const& fields) {
    auto command = auth_command(fields, *client_minor_);
    if (!command) return std::unexpected(std::move(command.error()));
    if (requests_.contains(command->id)) return malformed("AUTH with the id of an unfinished request");
    auto const* kind = mechanism_named(command->mechanism);
    if (kind == nullptr) return malformed("unsupported mechanism " + printable(command->mechanism, 20));

    auto pending = pending_request(*command, *kind);
    auto const& client = pending.request.client;
    if (requests_.size() >= requests_per_connection) {
        output_ += fail_line(command->id, Request{}, Outcome{});
        return {};
    }
    if (settings_.requires_certificate && !client.valid_client_certificate) {
        surroundings_.log.info("auth: {}(?,{}): the client showed no valid certificate",
                               to_lower(pending.request.mechanism), client.remote_ip);
        output_ += Line("FAIL", command->id).text();
        return {};
    }
    if (command->response) {
        pending.initial_response = base64_decode(*command->response);
        wipe(*command->response);
        if (!pending.initial_response) {
            output_ += bad_base64_line(command->id, "initial");
            return {};
        }
    }
    if (!client.no_penalty) pending.begins += surroundings_.penalties.delay(client.remote_ip, "");
    auto const at_once = pending.begins <= pending.started;
    requests_.emplace(command->id, std::move(pending));
    if (at_once) start(command->id);
    return {};
}

void ClientSession::start(std::uint32_t id) {
    auto& pending = requests_.at(id);
    if (auto held = std::exchange(pending.held, std::nullopt)) return take_step(id, std::move(*held));
    auto initial = std::exchange(pending.initial_response, std::nullopt);
    auto step = pending.mechanism->start(initial ? std::optional<std::string_view>(*initial) : std::nullopt);
    if (initial) wipe(*initial);
    take_step(id, std::move(step));
}

Result<> ClientSession::go_on(std::vector<std::string> const& fields) {
    auto const id = fields.size() > 1 ? request_id(fields[1]) : std::nullopt;
    if (!id || fields.size() < 3) return malformed("CONT without an id or data");
    auto const at = requests_.find(*id);
    if (at == requests_.end()) {
        output_ += protocol_fail_line(*id, "Authentication request timed out");
        return {};
    }
    if (at->second.phase != Phase::waiting_for_client) {
        requests_.erase(at);
        output_ += protocol_fail_line(*id, "Unexpected continuation");
        return {};
    }
    if (at->second.mechanism == nullptr) { // the client has taken note of the last challenge
        auto const outcome = *at->second.outcome;
        succeed(*id, outcome, "");
        return {};
    }
    at->second.last_heard = surroundings_.now();
    if (at->second.is_refused) {
        auto const outcome = *at->second.outcome;
        fail(*id, outcome);
        return {};
    }
    auto response = base64_decode(fields[2]);
    if (!response) {
        requests_.erase(at);
        output_ += bad_base64_line(*id, "continued");
        return {};
    }
    auto step = at->second.mechanism->receive(*response);
    wipe(*response);
    take_step(*id, std::move(step));
    return {};
}

Result<> ClientSession::cancel(std::vector<std::string> const& fields) {
    auto const id = fields.size() > 1 ? request_id(fields[1]) : std::nullopt;
    if (!id) return malformed("CANCEL with a bad id");
    requests_.erase(*id);
    return {};
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
        });
    if (queued) return;
    surroundings_.log.warning("auth: login{}: too many logins wait, this one is refused for now",
                              pending.request.log_name());
    finish(id, Outcome{});
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

void ClientSession::ask_for_secret(std::uint32_t id, NeedSecret const& need) {
    requests_.at(id).request.original_user = need.user;
    work(
        id,
        [authority = authority_, need](Request& request) {
            return authority->find_secret(request, need.authorization, need.schemes);
        },
        true);
}

void ClientSession::check(std::uint32_t id, CheckPassword const& check) {
    auto& pending = requests_.at(id);
    pending.request.original_user = check.user;
    pending.request.password = check.password;
    if (auto const outcome = authority_->login_at_hand(pending.request, check.authorization, check.password))
        return finish(id, *outcome);
    auto const data = std::make_shared<CheckPassword const>(check);
    work(
        id,
        [authority = authority_, data](Request& request) {
            return authority->check_password(request, data->authorization, data->password);
        },
        false);
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

void ClientSession::conclude(std::uint32_t id, Outcome const& outcome) {
    auto& pending = requests_.at(id);
    if (pending.final_data.empty() || pending.request.client.final_response_ok)
        return succeed(id, outcome, std::string(pending.final_data));
    pending.phase = Phase::waiting_for_client;
    pending.mechanism = nullptr;
    pending.outcome = outcome;
    output_ += Line("CONT", id).add(base64_encode(pending.final_data)).text();
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

void ClientSession::finish(std::uint32_t id, Outcome const& outcome) {
    if (outcome.verdict == Verdict::ok) return conclude(id, outcome);
    auto const challenge =
        outcome.verdict == Verdict::temporary ? std::nullopt : requests_.at(id).mechanism->refusal(outcome);
    if (challenge)
        tell_refusal(id, outcome, *challenge);
    else
        fail(id, outcome);
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

void ClientSession::note_failure(Pending const& pending, Outcome const& outcome) {
    authority_->report(pending.request, outcome);
    if (outcome.verdict != Verdict::password_mismatch && outcome.verdict != Verdict::unknown_user) return;
    auto const& request = pending.request;
    surroundings_.penalties.failed(request.client.remote_ip, pending.account,
                                   pending.plaintext ? std::optional(request.password.reveal())
                                                     : std::nullopt);
}

void ClientSession::succeed(std::uint32_t id, Outcome const& outcome, std::string const& final_data) {
    auto pending = std::move(requests_.extract(id).mapped());
    auto& request = pending.request;
    surroundings_.penalties.succeeded(request.client.remote_ip, pending.account);
    authority_->report(request, outcome);
    surroundings_.counts.count(request.mechanism, Verdict::ok);
    output_ += ok_line(id, request, outcome, final_data);
    request.password = Secret();
    if (settings_.login_role) surroundings_.logins.keep(cookie_, id, {std::move(request), outcome});
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

void ClientSession::fail(std::uint32_t id, Outcome const& outcome) {
    auto const pending = std::move(requests_.extract(id).mapped());
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
        delayed_.push_back({due, std::move(text)});
}

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

void ClientSession::pass_time() {
    auto const now = surroundings_.now();
    for (auto const& each : delayed_)
        if (each.due <= now) output_ += each.text;
    std::erase_if(delayed_, [now](Delayed const& each) { return each.due <= now; });
    std::vector<std::uint32_t> begun;
    for (auto const& [id, pending] : requests_)
        if (pending.phase == Phase::waiting_out_penalty && pending.begins <= now) begun.push_back(id);
    for (auto const id : begun) start(id);
    if (!begun.empty()) collect();
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
