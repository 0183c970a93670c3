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

TokenAnswer TokenEndpoint::token_info(std::string_view token, Request const& request,
                                      Deadline deadline) const {
    auto const asked = prepared(settings_.tokeninfo_url + http::percent_encoded(token), request);
    return send(asked, http::has_user(asked.url) ? Asker::ourselves : Asker::token, deadline);
}

TokenAnswer TokenEndpoint::introspect(std::string_view token, Request const& request,
                                      Deadline deadline) const {
    auto asked = prepared(settings_.introspection_url, request);
    auto const credentials = [this](std::string& text) {
        if (!settings_.client_id.empty()) text += "&client_id=" + http::percent_encoded(settings_.client_id);
        if (!settings_.client_secret.empty())
            text += "&client_secret=" + http::percent_encoded(settings_.client_secret);
    };
    switch (settings_.introspection_mode) {
    case IntrospectionMode::get: {
        auto const named = !settings_.client_id.empty() || http::has_user(asked.url);
        asked.url += http::percent_encoded(token);
        credentials(asked.url);
        return send(asked, named ? Asker::ourselves : Asker::token, deadline);
    }
    case IntrospectionMode::post:
        asked.content_type = "application/x-www-form-urlencoded";
        asked.body = "token=" + http::percent_encoded(token);
        credentials(*asked.body);
        return send(asked, Asker::ourselves, deadline);
    case IntrospectionMode::bearer:
    case IntrospectionMode::local: break;
    }
    asked.headers.push_back("Authorization: Bearer " + std::string(token));
    return send(asked, Asker::token, deadline);
}

TokenAnswer TokenEndpoint::exchange_password(std::string_view password, Request const& request,
                                             Deadline deadline) const {
    auto asked = prepared(settings_.grant_url, request);
    asked.content_type = "application/x-www-form-urlencoded";
    asked.body = "grant_type=password&username=" + http::percent_encoded(request.user) +
                 "&password=" + http::percent_encoded(password);
    if (!settings_.client_id.empty())
        *asked.body += "&client_id=" + http::percent_encoded(settings_.client_id);
    if (!settings_.client_secret.empty())
        *asked.body += "&client_secret=" + http::percent_encoded(settings_.client_secret);
    if (!settings_.scopes.empty())
        *asked.body += "&scope=" + http::percent_encoded(join(settings_.scopes, " "));
    auto answer = send(asked, Asker::ourselves, deadline);
    wipe(*asked.body);
    return answer;
}

} // namespace postern::auth_socket
