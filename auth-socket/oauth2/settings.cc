// dovecot-oauth2.conf.ext.
#include "auth-socket/oauth2/settings.h"

#include "auth-socket/oauth2/key_store.h"
#include "auth-socket/users/files.h"
#include "auth-socket/users/variables.h"
#include "common/base/text.h"
#include "common/config/assignments.h"

namespace postern::auth_socket {

namespace {

using config::Problem;
using std::string_view;
using S = TokenSettings;

constexpr string_view ours = "connections are kept and shared as needed";

template <std::string S::* member>
Result<> take_text(S& settings, string_view value) {
    settings.*member = trim(value);
    return {};
}

template <std::string S::* member>
Result<> take_url(S& settings, string_view value) {
    if (!value.empty() && !http::is_usable_url(value)) return permanent("not an http: or https: URL");
    settings.*member = value;
    return {};
}

template <bool S::* member>
Result<> take_boolean(S& settings, string_view value) {
    auto const read = config::parse_boolean(value);
    if (!read) return std::unexpected(read.error());
    settings.*member = *read;
    return {};
}

template <std::vector<std::string> S::* member>
Result<> take_words(S& settings, string_view value) {
    (settings.*member).clear();
    for (auto const word : split_words(value, " \t,")) (settings.*member).emplace_back(word);
    return {};
}

template <std::string http::TlsSettings::* member>
Result<> take_tls(S& settings, string_view value) {
    settings.tls.*member = value;
    return {};
}

Result<> take_mode(S& settings, string_view value) {
    using enum IntrospectionMode;
    if (value.empty() || value == "auth")
        settings.introspection_mode = bearer;
    else if (value == "get")
        settings.introspection_mode = get;
    else if (value == "post")
        settings.introspection_mode = post;
    else if (value == "local")
        settings.introspection_mode = local;
    else
        return permanent("must be auth, get, post or local");
    return {};
}

Result<> take_template(S& settings, string_view value) {
    if (auto const tried = check_template(value); !tried) return std::unexpected(tried.error());
    settings.username_format = value;
    return {};
}

Result<> take_attributes(S& settings, string_view value) {
    settings.pass_attributes = argument_fields(value);
    for (auto const& [name, text] : settings.pass_attributes)
        if (auto const tried = check_template(text.value_or("")); !tried)
            return std::unexpected(tried.error());
    return {};
}

Result<> take_dict(S& settings, string_view value) {
    if (!value.empty())
        if (auto const store = KeyStore::of_dict(value); !store) return std::unexpected(store.error());
    settings.local_validation_key_dict = value;
    return {};
}

Result<> take_timeout(S& settings, string_view value) {
    auto const milliseconds = config::parse_integer(value, 0, 3'600'000);
    if (!milliseconds) return std::unexpected(milliseconds.error());
    if (*milliseconds > 0)
        settings.timeout = std::min(longest_token_check, std::chrono::milliseconds(*milliseconds));
    return {};
}

Result<> take_invalid_certificates(S& settings, string_view value) {
    auto const read = config::parse_boolean(value);
    if (!read) return std::unexpected(read.error());
    settings.tls.verify = !*read;
    return {};
}

} // namespace

config::Table<TokenSettings> const& token_table() {
    static config::Table<S> const table(
        {
            {"tokeninfo_url", "", "GET this with the token appended tells what the token says.",
             take_url<&S::tokeninfo_url>},
            {"introspection_url", "", "Where the token is checked.", take_url<&S::introspection_url>},
            {"introspection_mode", "auth", "How: auth, get, post or local (by keys only).", take_mode},
            {"force_introspection", "no", "Ask introspection_url too where tokeninfo_url told enough.",
             take_boolean<&S::force_introspection>},
            {"grant_url", "", "Where a user's password is exchanged for a token.", take_url<&S::grant_url>},
            {"use_grant_password", "no", "Passwords are exchanged there.",
             take_boolean<&S::use_grant_password>},
            {"username_attribute", "email", "What names the user in the answer.",
             take_text<&S::username_attribute>},
            {"username_format", "%Lu", "What both names are made into before they are compared.",
             take_template},
            {"active_attribute", "", "What says that the account is active.",
             take_text<&S::active_attribute>},
            {"active_value", "", "Its value then; empty: any.", take_text<&S::active_value>},
            {"scope", "", "Scopes that a token needs, all of them.", take_words<&S::scopes>},
            {"issuers", "", "Issuers of tokens; empty: any.", take_words<&S::issuers>},
            {"client_id", "", "Our name at the server; a local token must have it in aud.",
             take_text<&S::client_id>},
            {"client_secret", "", "Our password there.", take_text<&S::client_secret>},
            {"openid_configuration_url", "", "Told to a client whose token is refused.",
             take_text<&S::openid_configuration_url>},
            {"pass_attrs", "", "Fields for the login, name=%{oauth2:attribute}.", take_attributes},
            {"local_validation_key_dict", "", "Keys by which tokens are checked here.", take_dict},
            {"send_auth_headers", "no", "Tell the server about the client (X-Dovecot-Auth-...).",
             take_boolean<&S::send_auth_headers>},
            {"timeout_msecs", "0", "How long an answer may take; at most 5000.", take_timeout},
            {"tls_ca_cert_file", "", "Certificates that are trusted; empty: the system's.",
             take_tls<&http::TlsSettings::ca_file>},
            {"tls_ca_cert_dir", "", "The same as a directory.", take_tls<&http::TlsSettings::ca_directory>},
            {"tls_cert_file", "", "Our certificate.", take_tls<&http::TlsSettings::certificate_file>},
            {"tls_key_file", "", "Its key.", take_tls<&http::TlsSettings::key_file>},
            {"tls_cipher_suite", "", "OpenSSL's list of ciphers.", take_tls<&http::TlsSettings::ciphers>},
            {"tls_allow_invalid_cert", "no", "Trust any server.", take_invalid_certificates},
            {"max_idle_time_msecs", "60000", "", [](S&, string_view) { return Result<>(); }, ours},
            {"max_parallel_connections", "1", "", [](S&, string_view) { return Result<>(); }, ours},
            {"max_pipelined_requests", "1", "", [](S&, string_view) { return Result<>(); }, ours},
            {"debug", "no", "", [](S&, string_view) { return Result<>(); }},
            {"rawlog_dir", "", "", nullptr, "tokens are not written into files"},
        },
        config::NameCase::exact);
    return table;
}

std::optional<TokenSettings> checked_token_settings(std::vector<config::Assignment> const& assignments,
                                                    config::Place const& place,
                                                    std::vector<Problem>& problems) {
    TokenSettings settings;
    auto mine = token_table().apply(settings, assignments);
    // about: the setting at whose line the mistake is told; empty: what is missing stands nowhere.
    auto const complain = [&](string_view about, std::string text) {
        Problem problem{Problem::Severity::error, place, std::move(text)};
        for (auto const& each : assignments)
            if (each.name == about) problem.place = each.place;
        mine.push_back(std::move(problem));
    };
    auto const local_only = settings.introspection_mode == IntrospectionMode::local;
    if (local_only && settings.local_validation_key_dict.empty())
        complain("introspection_mode", "introspection_mode = local needs local_validation_key_dict");
    if (local_only) settings.introspection_url.clear();
    // The URL's user would be asked about in place of the token: any token would be good for that account.
    if (settings.introspection_mode == IntrospectionMode::bearer &&
        http::has_user(settings.introspection_url))
        complain("introspection_url",
                 "introspection_url names a user, with which introspection_mode = auth sends no token; "
                 "use post or get");
    if (settings.use_grant_password && settings.grant_url.empty())
        complain("use_grant_password", "use_grant_password needs grant_url");
    if (settings.local_validation_key_dict.empty() && !settings.asks_web())
        complain(
            "", "one of tokeninfo_url, introspection_url, grant_url and local_validation_key_dict is needed");
    if (settings.username_attribute.empty()) complain("username_attribute", "username_attribute is needed");
    if (!json::is_available()) complain("", "oauth2: this auth-socket was built without nlohmann-json");
    if (settings.asks_web() && !http::is_available())
        complain("", "oauth2: this auth-socket was built without libcurl, and knows local validation only");
    problems.insert(problems.end(), mine.begin(), mine.end());
    if (config::has_errors(mine)) return std::nullopt;
    return settings;
}

std::optional<TokenSettings> read_token_settings(std::string const& path, std::vector<Problem>& problems) {
    auto const read = config::read_assignments(path, config::dovecot_sql_style);
    problems.insert(problems.end(), read.problems.begin(), read.problems.end());
    if (config::has_errors(read.problems)) return std::nullopt;
    return checked_token_settings(read.assignments, {path, 0}, problems);
}

} // namespace postern::auth_socket
