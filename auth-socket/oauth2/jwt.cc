// JSON web tokens: parts and claims.
#include "auth-socket/oauth2/jwt.h"

#include "common/base/encoding.h"
#include "common/base/text.h"

#include <algorithm>
#include <cmath>

namespace postern::auth_socket {

namespace {

constexpr json::Limits part_limits{.octets = token_limit, .depth = 8};

std::string text_member(json::Value const& object, std::string_view name) {
    auto const* value = object.find(name);
    return value != nullptr && value->text() != nullptr ? *value->text() : std::string();
}

// NumericDate (RFC 7519 section 2) as whole seconds.
std::optional<std::int64_t> seconds(json::Value const& value) {
    if (auto const* integer = value.integer()) return *integer;
    auto const* fraction = value.fraction();
    constexpr double far = 1e15;
    if (fraction == nullptr || !(std::fabs(*fraction) < far)) return std::nullopt;
    return static_cast<std::int64_t>(*fraction);
}

std::optional<std::string> problem_of_times(json::Value const& claims, std::int64_t now) {
    auto const* expires = claims.find("exp");
    if (expires == nullptr) return "it has no exp";
    for (auto const* name : {"exp", "nbf", "iat"})
        if (auto const* value = claims.find(name); value != nullptr && !seconds(*value))
            return std::string(name) + " is not a time";
    if (now >= *seconds(*expires)) return "it has expired";
    if (auto const* value = claims.find("nbf"); value != nullptr && *seconds(*value) > now + clock_difference)
        return "it is not valid yet";
    if (auto const* value = claims.find("iat"); value != nullptr && *seconds(*value) > now + clock_difference)
        return "it was issued in the future";
    return std::nullopt;
}

// A text, or an array with that text in it (RFC 7519 4.1.3).
bool names(json::Value const* value, std::string_view wanted) {
    if (value == nullptr) return false;
    if (auto const* text = value->text()) return *text == wanted;
    auto const* array = value->array();
    return array != nullptr && std::ranges::any_of(*array, [wanted](json::Value const& each) {
               return each.text() != nullptr && *each.text() == wanted;
           });
}

// The members that are no objects first: "a_b" is never taken from within "a", where users may write more.
void flatten(json::Value const& value, std::string const& name, Fields& fields) {
    if (auto const* object = value.object()) {
        for (auto const inner_objects : {false, true})
            for (auto const& [inner, member] : *object)
                if ((member.object() != nullptr) == inner_objects)
                    flatten(member, name.empty() ? inner : name + "_" + inner, fields);
    } else if (fields.has(name)) {
        return;
    } else if (auto const* array = value.array()) {
        std::string words;
        for (auto const& each : *array)
            if (auto const text = each.scalar()) words += (words.empty() ? "" : " ") + *text;
        fields.set(name, words);
    } else if (auto text = value.scalar()) {
        fields.set(name, std::move(*text));
    }
}

} // namespace

bool is_token(std::string_view text) {
    if (text.empty() || text.size() > token_limit) return false;
    auto const end = text.find_last_not_of('=');
    return end != std::string_view::npos && std::ranges::all_of(text.substr(0, end + 1), [](char c) {
               return is_alnum(c) || std::string_view("-._~+/").contains(c);
           });
}

Result<std::optional<Jwt>> read_jwt(std::string_view token) {
    auto const parts = split(token, '.');
    if (parts.size() != 3) return std::nullopt;
    auto const header_text = base64url_decode(parts[0]);
    if (!header_text || !header_text->starts_with("{")) return std::nullopt;
    auto const header = json::parse(*header_text, part_limits);
    if (!header || header->find("alg") == nullptr) return std::nullopt;
    Jwt jwt;
    jwt.algorithm = text_member(*header, "alg");
    jwt.key_id = text_member(*header, "kid");
    // RFC 7515 4.1.11: extensions that must be understood, and are not.
    if (header->find("crit") != nullptr) return malformed("its header has crit");
    auto const body_text = base64url_decode(parts[1]);
    auto signature = base64url_decode(parts[2]);
    if (!body_text || !signature) return malformed("a part is not base64url");
    auto claims = json::parse(*body_text, part_limits);
    if (!claims) return std::unexpected(std::move(claims.error()));
    if (claims->object() == nullptr) return malformed("its claims are no object");
    jwt.claims = std::move(*claims);
    jwt.authorized_party = text_member(jwt.claims, "azp");
    jwt.signed_text = token.substr(0, parts[0].size() + 1 + parts[1].size());
    jwt.signature = std::move(*signature);
    return jwt;
}

bool has_scopes(std::string_view text, std::vector<std::string> const& wanted) {
    auto const had = split_words(text, " ,\t");
    return std::ranges::all_of(
        wanted, [&had](std::string const& each) { return std::ranges::find(had, each) != had.end(); });
}

bool is_expired(json::Value const& claims, std::int64_t now) {
    auto const* value = claims.find("exp");
    if (value == nullptr || *value == json::Value()) return false;
    auto time = seconds(*value);
    if (value->text() != nullptr) time = parse_number<std::int64_t>(*value->text()); // Google's tokeninfo
    return !time || now >= *time;
}

std::optional<std::string> problem_of_claims(json::Value const& claims, ClaimRules const& rules,
                                             std::int64_t now) {
    if (auto problem = problem_of_times(claims, now)) return problem;
    auto const issuer = text_member(claims, "iss");
    if (!rules.issuers.empty() && std::ranges::find(rules.issuers, issuer) == rules.issuers.end())
        return "its issuer \"" + printable(issuer, 100) + "\" is not one of issuers";
    if (!rules.audience.empty() && !names(claims.find("aud"), rules.audience))
        return "it is for another audience";
    if (!has_scopes(flat_claims(claims).value("scope"), rules.scopes)) return "it lacks the scope";
    return std::nullopt;
}

Fields flat_claims(json::Value const& claims) {
    Fields fields;
    flatten(claims, "", fields);
    return fields;
}

} // namespace postern::auth_socket
