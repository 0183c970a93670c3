// The policy server as the logins see it.
#include "auth-socket/policy/server.h"

#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

std::string url_of(std::string const& server, char const* command) {
    return server + (server.ends_with('&') ? "" : "?") + "command=" + command;
}

} // namespace

bool PolicyServer::is_paused() const {
    std::lock_guard const lock(mutex_);
    return now_() < paused_until_;
}

// What the login itself has no time for says nothing about the server.
bool PolicyServer::is_in_a_hurry(Request const& request) const {
    return request.answer_by.point() < now_() + settings_.timeout;
}

void PolicyServer::pause() const {
    std::lock_guard const lock(mutex_);
    paused_until_ = now_() + policy_pause;
}

void PolicyServer::note(bool works, std::string_view why) const {
    std::lock_guard const lock(mutex_);
    if (works == works_) return;
    works_ = works;
    if (works)
        log_.info("auth: policy: the policy server answers again");
    else
        log_.error("auth: policy: {}; until it answers, logins are {}", why,
                   settings_.reject_on_fail ? "refused for now" : "let through");
}

Result<http::Answer> PolicyServer::send(char const* command, Request const& request,
                                        std::string_view password, PolicyReport const* report) const {
    http::Request asked;
    asked.url = url_of(settings_.server_url, command);
    asked.content_type = "application/json";
    auto body = policy_question(settings_, request, password, report);
    if (!body) return std::unexpected(std::move(body.error()));
    asked.body = std::move(*body);
    if (auto const& header = settings_.api_header; !header.empty())
        asked.headers.push_back(header.contains(':') ? header : "X-API-Key: " + header);
    auto const hurried = is_in_a_hurry(request); // before the time that the answer takes
    auto answer =
        client_->send(asked, Deadline::earlier(Deadline::after(settings_.timeout), request.answer_by));
    if (!answer && !hurried) pause();
    return answer;
}

PolicyAdvice PolicyServer::allow(Request const& request, std::string_view password) const {
    PolicyAdvice const otherwise{.status = 0, .message = {}, .is_missing = settings_.reject_on_fail};
    if (is_paused()) return otherwise;
    auto const hurried = is_in_a_hurry(request);
    auto const answer = send("allow", request, password, nullptr);
    if (!answer && hurried) return {.status = 0, .message = {}, .is_missing = true};
    auto advice = answer ? understand_advice(*answer) : std::unexpected(answer.error());
    note(advice.has_value(), advice ? "" : advice.error().text);
    return advice.value_or(otherwise);
}

void PolicyServer::report(Request const& request, std::string_view password,
                          PolicyReport const& report) const {
    if (is_paused()) return;
    auto const answer = send("report", request, password, &report);
    auto const taken = answer && answer->status / 10 == 20;
    note(taken, !answer ? answer.error().text : "HTTP status " + std::to_string(answer->status));
}

} // namespace postern::auth_socket
