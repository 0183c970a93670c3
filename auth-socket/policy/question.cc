// What is told to the policy server.
#include "auth-socket/policy/question.h"

#include "auth-socket/schemes/kinds.h"
#include "auth-socket/users/modifiers.h"
#include "auth-socket/users/variables.h"
#include "common/base/encoding.h"
#include "common/base/text.h"
#include "common/json/json.h"

#include <algorithm>

namespace postern::auth_socket {

namespace {

constexpr json::Limits answer_limits{.octets = http::answer_limit, .depth = 16};

json::Value& member(json::Value& object, std::string_view name) {
    auto& members = *object.object();
    auto const at = std::ranges::find(members, name, &json::Member::name);
    if (at != members.end()) return at->value;
    return members.emplace_back(json::Member{std::string(name), json::Value()}).value;
}

// "attrs/cos" is {"attrs":{"cos":...}}.
void put(json::Value& object, std::string_view path, json::Value value) {
    auto const [name, rest] = halve(path, '/');
    auto& place = member(object, name);
    if (!rest) {
        place = std::move(value);
        return;
    }
    if (place.object() == nullptr) place = json::Value(json::Value::Object());
    put(place, *rest, std::move(value));
}

} // namespace

std::string hashed_password(PolicySettings const& settings, std::string_view user,
                            std::string_view password) {
    std::string text; // with room for all of it at once: a growing string would leave copies behind
    text.reserve(settings.hash_nonce.size() + user.size() + 1 + password.size());
    text.append(settings.hash_nonce).append(user).append(1, '\0').append(password);
    auto hash =
        settings.hash_digest == "MD4" ? kinds::md4(text) : kinds::digest(settings.hash_digest.c_str(), text);
    wipe(text);
    if (settings.hash_truncate > 0) truncate_to_bits(hash, settings.hash_truncate);
    return hex_encode(hash);
}

Result<std::string> policy_question(PolicySettings const& settings, Request const& request,
                                    std::string_view password, PolicyReport const* report) {
    auto asking = request;
    asking.policy.set("hashed_password", hashed_password(settings, request.user, password));
    asking.policy.set("requested_username", request.user);
    asking.policy.set("fail_type", std::string(report != nullptr ? report->fail_type : ""));
    json::Value object{json::Value::Object()};
    for (auto const& [path, text] : settings.attributes) {
        auto value = expand(text, asking);
        if (!value) return value;
        put(object, path, std::move(*value));
    }
    if (report != nullptr) {
        put(object, "success", report->success);
        put(object, "policy_reject", report->rejected_by_policy);
    }
    put(object, "tls", request.client.secured_by_tls);
    return json::write(object);
}

Result<PolicyAdvice> understand_advice(http::Answer const& answer) {
    if (answer.status / 10 != 20) return temporary("HTTP status " + std::to_string(answer.status));
    auto const reply = json::parse(answer.body, answer_limits);
    if (!reply) return temporary(reply.error().text);
    auto const* status = reply->find("status");
    if (status == nullptr || status->integer() == nullptr) return temporary("the answer has no status");
    PolicyAdvice advice{.status = *status->integer(), .message = {}};
    if (auto const* message = reply->find("msg"); message != nullptr && message->text() != nullptr)
        advice.message = printable(*message->text(), 200);
    return advice;
}

} // namespace postern::auth_socket
