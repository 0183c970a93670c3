// The servers that know what a token says.
#include "auth-socket/oauth2/endpoint.h"

#include "auth-socket/oauth2/jwt.h"
#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

constexpr std::size_t longest_reason = 200; // octets of a stranger's words in the log
constexpr json::Limits reply_limits{.octets = http::answer_limit, .depth = 16};

TokenAnswer failed(Verdict verdict, std::string why) { return {verdict, std::move(why), {}}; }

std::string text_member(json::Value const& object, std::string_view name) {
    auto const* value = object.find(name);
    return value != nullptr && value->text() != nullptr ? *value->text() : std::string();
}

// "error" of RFC 6749 5.2 and RFC 6750 3.1, with its description.
std::string error_text(json::Value const& reply) {
    auto text = text_member(reply, "error");
    if (auto const more = text_member(reply, "error_description"); !more.empty()) text += ": " + more;
    return printable(text, longest_reason);
}

// "&name=value" of a form or a query, where there is a value.
void add_value(std::string& text, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    http::append_secret(text, text.empty() ? "" : "&");
    http::append_secret(text, name);
    http::append_secret(text, "=");
    http::append_percent_encoded(text, value);
}

// A refusal with a status of 4xx.
TokenAnswer understand_refusal(http::Answer const& answer, Asker asker) {
    auto const status = "HTTP status " + std::to_string(answer.status);
    auto const reply = json::parse(answer.body, reply_limits);
    auto const error = reply ? text_member(*reply, "error") : std::string();
    auto const about = reply && !error.empty() ? status + ", " + error_text(*reply) : status;
    if (error == "invalid_token" || error == "invalid_grant")
        return failed(Verdict::password_mismatch, "Invalid credentials: " + about);
    if (error == "insufficient_scope") return failed(Verdict::user_disabled, about);
    // A proxy's 400 is a page, and it is about the request.
    auto const about_the_token =
        asker == Asker::token && (answer.status == 401 || (answer.status == 400 && reply));
    if (about_the_token && error.empty())
        return failed(Verdict::password_mismatch, "Invalid credentials: " + about);
    return failed(Verdict::temporary, about);
}

// RFC 7662 2.2: whatever else is configured, a token that is not active is none. A null or 0 is no yes.
bool is_inactive(json::Value const& reply) {
    auto const* active = reply.find("active");
    if (active == nullptr) return false;
    auto const text = active->scalar().value_or("");
    return text.empty() || text == "0" || equals_ignoring_case(text, "false");
}

} // namespace

TokenAnswer understand_answer(http::Answer const& answer, Asker asker, std::int64_t now) {
    if (answer.status / 100 == 4) return understand_refusal(answer, asker);
    if (answer.status / 100 != 2)
        return failed(Verdict::temporary, "HTTP status " + std::to_string(answer.status));
    auto reply = json::parse(answer.body, reply_limits);
    if (!reply) return failed(Verdict::temporary, reply.error().text);
    if (reply->object() == nullptr) return failed(Verdict::temporary, "the answer is no JSON object");
    auto const error = text_member(*reply, "error");
    if (error == "invalid_token" || error == "invalid_grant")
        return failed(Verdict::password_mismatch, "Invalid credentials: " + error_text(*reply));
    if (reply->find("error") != nullptr) return failed(Verdict::temporary, error_text(*reply));
    if (is_inactive(*reply))
        return failed(Verdict::password_mismatch, "Invalid credentials: the token is not active");
    if (is_expired(*reply, now))
        return failed(Verdict::password_mismatch, "Invalid credentials: the token has expired");
    if (auto const type = text_member(*reply, "token_type");
        !type.empty() && !equals_ignoring_case(type, "bearer"))
        return failed(Verdict::password_mismatch,
                      "Invalid credentials: a token of type " + printable(type, 40));
    return {Verdict::ok, "", std::move(*reply)};
}

void TokenEndpoint::add_client(std::string& text) const {
    add_value(text, "client_id", settings_.client_id);
    add_value(text, "client_secret", settings_.client_secret);
}

http::Request TokenEndpoint::prepared(std::string url, Request const& request) const {
    http::Request made;
    made.url = std::move(url);
    if (!settings_.send_auth_headers) return made;
    auto const& client = request.client;
    auto const add = [&made](std::string const& name, std::string const& value) {
        if (!value.empty()) made.headers.push_back("X-Dovecot-Auth-" + name + ": " + printable(value));
    };
    auto const place = [](std::string const& ip, std::string const& port) {
        return ip.empty() ? ip : (ip.contains(':') ? "[" + ip + "]" : ip) + ":" + (port.empty() ? "0" : port);
    };
    add("Service", client.service);
    add("Local", place(client.local_ip, client.local_port));
    add("Remote", place(client.remote_ip, client.remote_port));
    return made;
}

TokenAnswer TokenEndpoint::send(http::Request const& request, Asker asker, Deadline deadline) const {
    auto const answer = client_.send(request, deadline);
    if (!answer) return failed(Verdict::temporary, answer.error().text);
    auto understood = understand_answer(*answer, asker, unix_time());
    if (understood.verdict == Verdict::temporary)
        understood.why = http::server_part(request.url) + ": " + understood.why;
    return understood;
}

namespace {

void add_bearer(http::Request& asked, std::string_view token) {
    std::string header = "Authorization: Bearer ";
    http::append_secret(header, token);
    asked.headers.push_back(std::move(header));
}

} // namespace

TokenAnswer TokenEndpoint::token_info(std::string_view token, Request const& request,
                                      Deadline deadline) const {
    auto asked = prepared(settings_.tokeninfo_url, request);
    http::append_percent_encoded(asked.url, token);
    // As Dovecot, for servers that look there.
    if (settings_.introspection_mode == IntrospectionMode::bearer && !http::has_user(asked.url))
        add_bearer(asked, token);
    return send(asked, http::has_user(asked.url) ? Asker::ourselves : Asker::token, deadline);
}

TokenAnswer TokenEndpoint::introspect(std::string_view token, Request const& request,
                                      Deadline deadline) const {
    auto asked = prepared(settings_.introspection_url, request);
    switch (settings_.introspection_mode) {
    case IntrospectionMode::get: {
        auto const named = !settings_.client_id.empty() || http::has_user(asked.url);
        http::append_percent_encoded(asked.url, token);
        add_client(asked.url);
        return send(asked, named ? Asker::ourselves : Asker::token, deadline);
    }
    case IntrospectionMode::post:
        asked.content_type = "application/x-www-form-urlencoded";
        add_value(asked.body.emplace(), "token", token);
        add_client(*asked.body);
        return send(asked, Asker::ourselves, deadline);
    case IntrospectionMode::bearer:
    case IntrospectionMode::local: break;
    }
    add_bearer(asked, token);
    return send(asked, Asker::token, deadline);
}

TokenAnswer TokenEndpoint::exchange_password(std::string_view password, Request const& request,
                                             Deadline deadline) const {
    auto asked = prepared(settings_.grant_url, request);
    asked.content_type = "application/x-www-form-urlencoded";
    auto& body = asked.body.emplace();
    add_value(body, "grant_type", "password");
    add_value(body, "username", request.user);
    add_value(body, "password", password);
    add_client(body);
    add_value(body, "scope", join(settings_.scopes, " "));
    return send(asked, Asker::ourselves, deadline);
}

} // namespace postern::auth_socket
