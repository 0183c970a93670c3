// JSON web tokens (RFC 7519) in the compact form of RFC 7515: taken apart, and what they claim judged.
#pragma once

#include "auth-socket/fields.h"
#include "auth-socket/oauth2/signature.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

// An Authorization header's b64token (RFC 6750 2.1): what may be sent on to an endpoint.
inline constexpr std::size_t token_limit = 12288; // octets; Postfix' smtpd_sasl_response_limit
bool is_token(std::string_view text);

struct Jwt {
    std::string algorithm, key_id; // as the header has them; key_id may be empty
    std::string authorized_party;  // azp; empty: none
    json::Value claims;
    std::string_view signed_text; // part of the token
    std::string signature;
};

// Absent: not one, an opaque token perhaps. Malformed error: one that is broken.
Result<std::optional<Jwt>> read_jwt(std::string_view token);

struct ClaimRules {
    std::vector<std::string> issuers; // none: any
    std::string audience;             // client_id; empty: any
    std::vector<std::string> scopes;  // all of them are needed
};
// Clocks of two machines differ; as Dovecot 2.4, not by more than this.
inline constexpr std::int64_t clock_difference = 1; // seconds

// Why these claims are not good now; absent: they are.
std::optional<std::string> problem_of_claims(json::Value const& claims, ClaimRules const& rules,
                                             std::int64_t now);

// "exp" lies in the past, or is no time.
bool is_expired(json::Value const& claims, std::int64_t now);

// Members by name, those within objects as "outer_inner", the texts of an array with a blank between them.
Fields flat_claims(json::Value const& claims);

// All of the wanted words stand in the text.
bool has_scopes(std::string_view text, std::vector<std::string> const& wanted);

} // namespace postern::auth_socket
