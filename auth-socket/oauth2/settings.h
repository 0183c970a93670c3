// dovecot-oauth2.conf.ext: where access tokens are checked, and what they must say.
#pragma once

#include "auth-socket/fields.h"
#include "common/config/settings.h"
#include "common/http/http.h"

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace postern::auth_socket {

enum class IntrospectionMode {
    bearer, // "auth": GET with the token as its own authorization
    get,    // GET with the token appended to the URL
    post,   // POST token=... (RFC 7662)
    local,  // keys only
};

// The longest a token's check may take, whatever timeout_msecs says: Postfix waits for 10 s.
inline constexpr std::chrono::milliseconds longest_token_check{5000};

struct TokenSettings {
    std::string tokeninfo_url, introspection_url, grant_url;
    IntrospectionMode introspection_mode = IntrospectionMode::bearer;
    bool force_introspection = false;
    bool use_grant_password = false;
    bool send_auth_headers = false;
    std::string username_attribute = "email";
    std::string username_format = "%Lu";
    std::string active_attribute, active_value;
    std::vector<std::string> scopes, issuers;
    std::string client_id, client_secret;
    std::string openid_configuration_url;
    Fields pass_attributes; // values are templates
    std::string local_validation_key_dict;
    std::chrono::milliseconds timeout = longest_token_check;
    http::TlsSettings tls;

    bool asks_web() const {
        return !tokeninfo_url.empty() || !introspection_url.empty() || !grant_url.empty();
    }
};

config::Table<TokenSettings> const& token_table();

// Problems are added; absent when there is an error among them.
std::optional<TokenSettings> read_token_settings(std::string const& path,
                                                 std::vector<config::Problem>& problems);
// What both ways of writing them are held to.
std::optional<TokenSettings> checked_token_settings(std::vector<config::Assignment> const& assignments,
                                                    config::Place const& place,
                                                    std::vector<config::Problem>& problems);

} // namespace postern::auth_socket
