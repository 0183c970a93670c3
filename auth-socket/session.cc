// A connection on an auth client or login socket: its lines.
#include "auth-socket/session.h"

#include "auth-socket/replies.h"
#include "common/base/encoding.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <algorithm>

namespace postern::auth_socket {

ClientSession::ClientSession(ClientSettings settings, std::shared_ptr<Authority const> authority,
                             Surroundings& surroundings, net::Waker waker)
    : settings_(std::move(settings)), authority_(std::move(authority)), surroundings_(surroundings),
      completions_(std::make_shared<Completions<Done>>(std::move(waker))),
      cookie_(hex_encode(random_octets(16))) {}

ClientSession::~ClientSession() {
    if (client_pid_) surroundings_.logins.forget(cookie_, *client_pid_);
}

// The whole block at once: Exim and others wait for it before they write. Postfix wants VERSION first and a
// MECH before SPID.
std::string ClientSession::greeting() {
    std::string text = Line("VERSION", protocol_major).add(std::to_string(settings_.protocol_minor)).text();
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
    auto done = handle_lines();
    wipe_stack_below();
    if (!done) return std::unexpected(std::move(done.error()));
    return wake();
}

Result<> ClientSession::handle_lines() {
    while (!finished_) {
        auto line = lines_.next();
        if (!line) return std::unexpected(std::move(line.error()));
        if (!*line) break;
        auto done = handle(**line);
        wipe(**line);
        if (!done) return done;
        collect(); // what is ready is answered before the next line is looked at
    }
    return {};
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

// In its place at once: it is a large thing to move.
ClientSession::Pending& ClientSession::add_pending(AuthCommand& command, MechanismKind const& kind) {
    auto& context = settings_.mechanism;
    if (settings_.user_from_certificate) context.certificate_user = command.client.certificate_user;
    context.tokens = surroundings_.tokens.get();
    context.valid_certificate = command.client.valid_client_certificate;
    auto mechanism = kind.make(context);
    auto& pending = requests_[command.id];
    pending.serial = ++serial_;
    pending.started = pending.begins = pending.last_heard = surroundings_.now();
    pending.mechanism = std::move(mechanism);
    pending.plaintext = kind.plaintext;
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

    auto const& client = command->client;
    if (requests_.size() >= requests_per_connection) {
        output_ += fail_line(command->id, Request{}, Outcome{});
        return {};
    }
    if (settings_.requires_certificate && !client.valid_client_certificate) {
        surroundings_.log.info("auth: {}(?,{}): the client showed no valid certificate",
                               to_lower(command->mechanism), client.remote_ip);
        output_ += protocol_fail_line(command->id, "Client didn't present valid SSL certificate");
        return {};
    }
    std::optional<std::string> initial_response;
    if (command->response) {
        initial_response = base64_decode(*command->response);
        wipe(*command->response);
        if (!initial_response) {
            output_ += bad_base64_line(command->id, "initial");
            return {};
        }
    }
    auto const delay = client.no_penalty ? std::chrono::milliseconds::zero()
                                         : surroundings_.penalties.delay(client.remote_ip, "");
    auto& pending = add_pending(*command, *kind);
    pending.initial_response = std::move(initial_response);
    pending.begins += delay;
    if (pending.begins <= pending.started) start(command->id);
    return {};
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
    auto known = requests_.erase(*id) > 0;
    if (std::min(*client_minor_, settings_.protocol_minor) < 4) return {};
    // Since minor 4 a client waits until it hears how its request ended, once.
    known |= std::erase_if(delayed_, [id](Delayed const& each) { return each.id == *id; }) > 0;
    if (known) output_ += Line("CANCELLED", *id).text();
    return {};
}

} // namespace postern::auth_socket
