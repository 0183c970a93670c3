// passdb oauth2.
#include "auth-socket/oauth2/token_passdb.h"

#include "auth-socket/users/chain.h"
#include "auth-socket/users/variables.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <algorithm>

namespace postern::auth_socket {

namespace {

TokenAnswer invalid(std::string why) {
    return {Verdict::password_mismatch, "Invalid credentials: " + std::move(why), {}};
}

// What a later answer says counts.
json::Value merged(json::Value claims, json::Value const& later) {
    for (auto const& member : *later.object()) {
        std::erase_if(*claims.object(), [&](json::Member const& each) { return each.name == member.name; });
        claims.object()->push_back(member);
    }
    return claims;
}

} // namespace

TokenPassdb::TokenPassdb(TokenSettings settings, std::shared_ptr<http::Client const> client, UnixTime now)
    : settings_(std::move(settings)), client_(std::move(client)), now_(std::move(now)) {
    if (!settings_.local_validation_key_dict.empty())
        if (auto store = KeyStore::of_dict(settings_.local_validation_key_dict)) keys_ = std::move(*store);
}

std::optional<Result<Checked>> TokenPassdb::check(Request const& request, Secret const& token) const {
    auto const deadline = Deadline::earlier(Deadline::after(settings_.timeout), request.answer_by);
    auto checked = judged(ask(token.reveal(), request, deadline), request);
    wipe_stack_below();
    return checked;
}

TokenAnswer TokenPassdb::ask(std::string_view token, Request const& request, Deadline deadline) const {
    if (settings_.use_grant_password) return by_password(token, request, deadline);
    // It becomes part of URLs and header fields.
    if (!is_token(token)) return invalid("not an access token");
    if (keys_) {
        auto const jwt = read_jwt(token);
        if (!jwt) return invalid("a broken token: " + jwt.error().text);
        if (*jwt) return by_keys(**jwt);
    }
    if (settings_.tokeninfo_url.empty() && settings_.introspection_url.empty())
        return invalid("not a signed token");
    if (client_ == nullptr) return {Verdict::temporary, "no HTTP client", {}};
    return by_servers(token, request, deadline);
}

// The signature first: before it, a claim is a stranger's text.
TokenAnswer TokenPassdb::by_keys(Jwt const& jwt) const {
    auto const genuine = keys_->verifies(jwt);
    if (!genuine) return {Verdict::temporary, genuine.error().text, {}};
    if (!*genuine)
        return invalid("no key verifies the token (alg " + printable(jwt.algorithm, 20) + ", kid " +
                       printable(jwt.key_id, 80) + ")");
    ClaimRules const rules{settings_.issuers, settings_.client_id, settings_.scopes};
    if (auto const problem = problem_of_claims(jwt.claims, rules, now_()))
        return invalid("the token: " + *problem);
    return {Verdict::ok, "", jwt.claims};
}

TokenAnswer TokenPassdb::by_servers(std::string_view token, Request const& request, Deadline deadline) const {
    if (settings_.tokeninfo_url.empty())
        return TokenEndpoint(settings_, *client_).introspect(token, request, deadline);
    return introspected(TokenEndpoint(settings_, *client_).token_info(token, request, deadline), token,
                        request, deadline);
}

TokenAnswer TokenPassdb::by_password(std::string_view password, Request const& request,
                                     Deadline deadline) const {
    if (client_ == nullptr) return {Verdict::temporary, "no client for grant_url", {}};
    if (password.empty()) return invalid("an empty password");
    auto granted = TokenEndpoint(settings_, *client_).exchange_password(password, request, deadline);
    if (granted.verdict != Verdict::ok) return granted;
    auto const* token = granted.claims.find("access_token");
    if (token == nullptr || token->text() == nullptr || !is_token(*token->text()))
        return {Verdict::temporary, "grant_url gave no access_token", {}};
    auto const copy = *token->text();
    return introspected(std::move(granted), copy, request, deadline);
}

// introspection_url is asked as well where it is wanted or the first answer did not tell all.
TokenAnswer TokenPassdb::introspected(TokenAnswer first, std::string_view token, Request const& request,
                                      Deadline deadline) const {
    if (first.verdict != Verdict::ok || settings_.introspection_url.empty()) return first;
    if (!settings_.force_introspection && tells_enough(first.claims)) return first;
    auto second = TokenEndpoint(settings_, *client_).introspect(token, request, deadline);
    if (second.verdict == Verdict::ok) second.claims = merged(std::move(first.claims), second.claims);
    return second;
}

bool TokenPassdb::tells_enough(json::Value const& claims) const {
    auto const fields = flat_claims(claims);
    auto const wants = [&](std::string_view name) { return !name.empty() && !fields.has(name); };
    if (wants(settings_.username_attribute) || wants(settings_.active_attribute)) return false;
    return std::ranges::none_of(settings_.pass_attributes, [&](Field const& each) {
        auto const at = each.value.value_or("").find("%{oauth2:");
        if (at == std::string::npos) return false;
        auto const name = each.value->substr(at + 9);
        return wants(name.substr(0, name.find_first_of(":}|")));
    });
}

std::optional<Checked> TokenPassdb::objection(Fields const& claims, Request const& request) const {
    if (!claims.has(settings_.username_attribute))
        return Checked{Verdict::temporary, "the token's answer has no " + settings_.username_attribute, {}};
    auto named = request;
    named.user = claims.value(settings_.username_attribute);
    auto const wanted = expand(settings_.username_format, request);
    auto const given = expand(settings_.username_format, named);
    if (!wanted || !given) return Checked{Verdict::temporary, (wanted ? given : wanted).error().text, {}};
    if (*wanted != *given || given->empty())
        return Checked{Verdict::password_mismatch,
                       "Invalid credentials: the token is that of \"" + printable(*given, 100) + "\"",
                       {}};
    auto const& active = settings_.active_attribute;
    if (!active.empty() && (!claims.has(active) || (!settings_.active_value.empty() &&
                                                    claims.value(active) != settings_.active_value)))
        return Checked{Verdict::user_disabled, "User account is not active", {}};
    // As Dovecot: where a server tells no scope, the audience stands for it.
    if (!has_scopes(claims.value(claims.has("scope") ? "scope" : "aud"), settings_.scopes))
        return Checked{Verdict::user_disabled, "the token lacks the scope", {}};
    return std::nullopt;
}

Checked TokenPassdb::judged(TokenAnswer answer, Request const& request) const {
    if (answer.verdict != Verdict::ok) return {answer.verdict, std::move(answer.why), {}};
    auto asking = request;
    asking.oauth2 = flat_claims(answer.claims);
    if (auto no = objection(asking.oauth2, asking)) return std::move(*no);
    auto fields = expanded(settings_.pass_attributes, asking);
    if (!fields) return {Verdict::temporary, fields.error().text, {}};
    return {Verdict::ok, "", std::move(*fields)};
}

} // namespace postern::auth_socket
