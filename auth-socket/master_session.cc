// A connection on a master or userdb socket.
#include "auth-socket/master_session.h"

#include "common/base/text.h"

#include <exception>

namespace postern::auth_socket {

namespace {

std::optional<unsigned> restriction(MasterSettings const& settings,
                                    std::optional<net::Peer::Credentials> const& peer) {
    if (!settings.checks_peer || !peer) return std::nullopt;
    if (peer->uid == settings.socket_uid || peer->gid == settings.socket_gid) return std::nullopt;
    return peer->uid;
}

std::string user_reply(std::uint32_t id, UserOutcome const& outcome, Fields const& more = {}) {
    switch (outcome.verdict) {
    case UserVerdict::found: return Line("USER", id).add(outcome.user).add(outcome.fields).add(more).text();
    case UserVerdict::not_found: return Line("NOTFOUND", id).text();
    case UserVerdict::temporary: break;
    }
    Line line("FAIL", id);
    if (!outcome.reason.empty()) line.add("reason", outcome.reason);
    return line.text();
}

std::string pass_reply(std::uint32_t id, Outcome const& outcome) {
    switch (outcome.verdict) {
    case Verdict::ok: return Line("PASS", id).add("user", outcome.user).add(outcome.reply).text();
    case Verdict::unknown_user: return Line("NOTFOUND", id).text();
    case Verdict::temporary: return Line("FAIL", id).add("code", "temp_fail").text();
    case Verdict::user_disabled: return Line("FAIL", id).add("code", "user_disabled").text();
    case Verdict::password_expired: return Line("FAIL", id).add("code", "pass_expired").text();
    case Verdict::password_mismatch:
    case Verdict::refused:
    case Verdict::wrong_network:
    case Verdict::not_authorized: break;
    }
    return Line("FAIL", id).text();
}

} // namespace

MasterSession::MasterSession(MasterSettings settings, std::shared_ptr<Authority const> authority,
                             Surroundings& surroundings, net::Peer const& peer, net::Waker waker)
    : settings_(std::move(settings)), authority_(std::move(authority)), surroundings_(surroundings),
      peer_(peer.credentials), restricted_to_(restriction(settings_, peer_)),
      completions_(std::make_shared<Completions<std::string>>(std::move(waker))) {}

std::string MasterSession::greeting() {
    return Line("VERSION", protocol_major).add(std::to_string(master_protocol_minor)).text() +
           Line("SPID", surroundings_.server_pid).text();
}

Result<std::string> MasterSession::receive(std::string_view bytes) {
    lines_.feed(bytes);
    while (true) {
        auto const line = lines_.next();
        if (!line) return std::unexpected(line.error());
        if (!*line) break;
        if (auto done = handle(**line); !done) return std::unexpected(std::move(done.error()));
        collect();
    }
    return wake();
}

Result<std::string> MasterSession::wake() {
    collect();
    return std::exchange(output_, {});
}

Result<> MasterSession::handle(std::string const& line) {
    auto const fields = line_fields(line);
    if (!has_version_) {
        if (auto const minor = version_minor(fields); !minor) return std::unexpected(minor.error());
        has_version_ = true;
        return {};
    }
    auto const id = fields.size() > 1 ? any_id(fields[1]) : std::nullopt;
    if (!id) return malformed(printable(fields[0], 20) + " without an id");
    if (working_ >= lookups_per_connection) return malformed("more than 256 lookups at a time");
    return dispatch(fields, *id);
}

Result<> MasterSession::dispatch(std::vector<std::string> const& fields, std::uint32_t id) {
    auto const& command = fields[0];
    if (command == "USER") return user(fields, id);
    if (command == "PASS") return pass(fields, id);
    if (command == "LIST") return list(fields, id);
    if (settings_.master_role && command == "REQUEST") return request(fields, id);
    if (settings_.master_role && command == "CACHE-FLUSH") return flush(fields, id);
    return malformed("unknown command " + printable(command, 20));
}

Result<Request> MasterSession::lookup_request(std::vector<std::string> const& fields) const {
    if (fields.size() < 3) return malformed(fields[0] + " without a user");
    Request request;
    request.original_user = fields[2];
    read_client_info(fields, 3, request.client);
    if (!request.client.has_service) return malformed(fields[0] + " without a service");
    return request;
}

Result<> MasterSession::user(std::vector<std::string> const& fields, std::uint32_t id) {
    auto request = lookup_request(fields);
    if (!request) return std::unexpected(std::move(request.error()));
    work(id, [authority = authority_, asking = std::move(*request), id, only = restricted_to_,
              &log = surroundings_.log] {
        auto copy = asking;
        auto const outcome = authority->find_user(copy, nullptr);
        auto const is_theirs = !only || parse_number<unsigned>(outcome.fields.value("uid")) == *only;
        if (outcome.verdict != UserVerdict::found || is_theirs) return user_reply(id, outcome);
        log.warning("auth: userdb{}: uid {} may not look up this user on a socket with mode 0666",
                    copy.log_name(), *only);
        return Line("FAIL", id).text();
    });
    return {};
}

Result<> MasterSession::pass(std::vector<std::string> const& fields, std::uint32_t id) {
    auto request = lookup_request(fields);
    if (!request) return std::unexpected(std::move(request.error()));
    if (restricted_to_) {
        output_ += Line("FAIL", id).text();
        return {};
    }
    work(id, [authority = authority_, asking = std::move(*request), id] {
        auto copy = asking;
        auto const outcome = authority->find_login(copy, "");
        return copy.name_refused ? Line("NOTFOUND", id).text() : pass_reply(id, outcome);
    });
    return {};
}

Result<> MasterSession::list(std::vector<std::string> const& fields, std::uint32_t id) {
    std::string mask;
    for (auto const& field : fields)
        if (field.starts_with("user=")) mask = field.substr(5);
    if (restricted_to_) {
        output_ += Line("DONE", id).add("fail").text();
        return {};
    }
    Request asking;
    read_client_info(fields, 2, asking.client);
    work(id, [authority = authority_, asking = std::move(asking), mask, id] {
        std::string reply;
        auto const done = authority->list_users(asking, mask, [&](std::string_view name) {
            if (reply.size() < list_limit) reply += Line("LIST", id).add(name).text();
        });
        auto const complete = done && reply.size() < list_limit;
        return reply + Line("DONE", id).add(complete ? "" : "fail").text();
    });
    return {};
}

// A mail process has been handed a client by a login process, and asks who it is.
Result<> MasterSession::request(std::vector<std::string> const& fields, std::uint32_t id) {
    auto const pid = fields.size() > 4 ? any_id(fields[2]) : std::nullopt;
    auto const login_id = fields.size() > 4 ? any_id(fields[3]) : std::nullopt;
    if (!pid || !login_id) return malformed("REQUEST without a client's pid, id and cookie");
    std::optional<std::uint32_t> session_pid;
    auto wants_token = false;
    for (std::size_t i = 5; i < fields.size(); ++i) {
        auto const [name, value] = halve(fields[i], '=');
        wants_token = wants_token || name == "request_auth_token";
        auto const claimed = name == "session_pid" ? any_id(value.value_or("")) : std::nullopt;
        if (claimed) session_pid = claimed;
        if (claimed && peer_ && peer_->pid != 0 && *claimed != static_cast<std::uint32_t>(peer_->pid)) {
            surroundings_.log.warning("auth: REQUEST says session_pid={} but comes from pid {}", *claimed,
                                      peer_->pid);
            output_ += Line("FAIL", id).text();
            return {};
        }
    }
    auto login = surroundings_.logins.take(fields[4], *pid, *login_id);
    if (!login) {
        surroundings_.log.warning("auth: REQUEST for a login that is not there: client pid {}, id {}", *pid,
                                  *login_id);
        output_ += Line("FAIL", id).text();
        return {};
    }
    auto const tokens = wants_token && session_pid ? surroundings_.tokens : nullptr;
    work(id, [authority = authority_, login = std::move(*login), id, tokens, session_pid] {
        auto copy = login.request;
        copy.user = login.outcome.user;
        copy.session_pid = session_pid.value_or(0);
        auto const outcome = authority->find_user(copy, &login.outcome);
        Fields more;
        more.set("auth_mech", copy.mechanism);
        if (tokens)
            more.set("auth_token", tokens->make({copy.client.service, std::to_string(*session_pid),
                                                 outcome.user, copy.client.session}));
        if (!copy.authenticated_user.empty()) more.set("auth_user", copy.authenticated_user);
        return user_reply(id, outcome, more);
    });
    return {};
}

Result<> MasterSession::flush(std::vector<std::string> const& fields, std::uint32_t id) {
    std::vector<std::string> const users(fields.begin() + 2, fields.end());
    auto const count = settings_.flush_cache ? settings_.flush_cache(users) : 0;
    output_ += Line("OK", id).add(std::to_string(count)).text();
    return {};
}

void MasterSession::work(std::uint32_t id, Job job) {
    ++working_;
    auto const queued = surroundings_.executor_for_users().submit(
        "lookups", [completions = completions_, job = std::move(job), id, &log = surroundings_.log] {
            std::string reply;
            try {
                reply = job();
            } catch (std::exception const& exception) {
                log.error("auth: lookup: {}", exception.what());
                reply = Line("FAIL", id).text();
            }
            completions->add(std::move(reply));
        });
    if (queued) return;
    surroundings_.log.warning("auth: too many lookups wait, this one is refused for now");
    --working_;
    output_ += Line("FAIL", id).text();
}

void MasterSession::collect() {
    for (auto& reply : completions_->take()) {
        --working_;
        output_ += reply;
    }
}

} // namespace postern::auth_socket
