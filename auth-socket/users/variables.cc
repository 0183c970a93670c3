// Dovecot's % variables.
#include "auth-socket/users/variables.h"

#include "auth-socket/users/modifiers.h"
#include "common/base/text.h"

#include <unistd.h>

#include <array>
#include <optional>

namespace postern::auth_socket {

namespace {

std::string local_part(std::string_view user) { return std::string(user.substr(0, user.find('@'))); }
std::string domain_part(std::string_view user) {
    auto const at = user.find('@');
    return at == std::string_view::npos ? std::string() : std::string(user.substr(at + 1));
}
std::string first_domain(std::string_view user) { return local_part(domain_part(user)); }
std::string last_domain(std::string_view user) {
    auto const at = user.rfind('@');
    return at == std::string_view::npos ? std::string() : std::string(user.substr(at + 1));
}

std::string const& login_name(Request const& request) {
    return request.authenticated_user.empty() ? request.user : request.authenticated_user;
}

std::string host_name() {
    std::array<char, 256> name{};
    return gethostname(name.data(), name.size() - 1) == 0 ? name.data() : "";
}

struct Variable {
    char letter; // 0: long name only
    std::string_view name;
    std::string (*value)(Request const&);
};

#define POSTERN_VALUE(expression) []([[maybe_unused]] Request const& r) -> std::string { return expression; }
constexpr Variable variables[] = {
    {'u', "user", POSTERN_VALUE(r.user)},
    {'n', "username", POSTERN_VALUE(local_part(r.user))},
    {'d', "domain", POSTERN_VALUE(domain_part(r.user))},
    {0, "domain_first", POSTERN_VALUE(first_domain(r.user))},
    {0, "domain_last", POSTERN_VALUE(last_domain(r.user))},
    {'s', "service", POSTERN_VALUE(r.client.service)},
    {0, "protocol", POSTERN_VALUE(r.client.service)},
    {'h', "home", POSTERN_VALUE(r.userdb.value("home"))},
    {'l', "lip", POSTERN_VALUE(r.client.local_ip)},
    {0, "local_ip", POSTERN_VALUE(r.client.local_ip)},
    {'r', "rip", POSTERN_VALUE(r.client.remote_ip)},
    {0, "remote_ip", POSTERN_VALUE(r.client.remote_ip)},
    {'p', "pid", POSTERN_VALUE(std::to_string(r.client_pid))},
    {0, "client_pid", POSTERN_VALUE(std::to_string(r.client_pid))},
    {'w', "password", POSTERN_VALUE(std::string(r.password.reveal()))},
    {'!', "", POSTERN_VALUE(std::to_string(r.id))},
    {'m', "mech", POSTERN_VALUE(r.mechanism)},
    {0, "mechanism", POSTERN_VALUE(r.mechanism)},
    {'c', "secured", POSTERN_VALUE(r.client.secured ? "secured" : "")},
    {'a', "lport", POSTERN_VALUE(r.client.local_port)},
    {0, "local_port", POSTERN_VALUE(r.client.local_port)},
    {'b', "rport", POSTERN_VALUE(r.client.remote_port)},
    {0, "remote_port", POSTERN_VALUE(r.client.remote_port)},
    {'k', "cert", POSTERN_VALUE(r.client.valid_client_certificate ? "valid" : "")},
    {0, "real_lip", POSTERN_VALUE(r.client.real_local_ip)},
    {0, "real_local_ip", POSTERN_VALUE(r.client.real_local_ip)},
    {0, "real_rip", POSTERN_VALUE(r.client.real_remote_ip)},
    {0, "real_remote_ip", POSTERN_VALUE(r.client.real_remote_ip)},
    {0, "real_lport", POSTERN_VALUE(r.client.real_local_port)},
    {0, "real_local_port", POSTERN_VALUE(r.client.real_local_port)},
    {0, "real_rport", POSTERN_VALUE(r.client.real_remote_port)},
    {0, "real_remote_port", POSTERN_VALUE(r.client.real_remote_port)},
    {0, "local_name", POSTERN_VALUE(r.client.local_name)},
    {0, "session", POSTERN_VALUE(r.client.session)},
    {0, "session_pid", POSTERN_VALUE(std::to_string(r.client_pid))},
    {0, "client_id", POSTERN_VALUE(r.client.client_id)},
    {0, "login_user", POSTERN_VALUE(r.user)},
    {0, "login_username", POSTERN_VALUE(local_part(r.user))},
    {0, "login_domain", POSTERN_VALUE(domain_part(r.user))},
    {0, "master_user", POSTERN_VALUE(r.authenticated_user)},
    {0, "auth_user", POSTERN_VALUE(login_name(r))},
    {0, "auth_username", POSTERN_VALUE(local_part(login_name(r)))},
    {0, "auth_domain", POSTERN_VALUE(domain_part(login_name(r)))},
    {0, "orig_user", POSTERN_VALUE(r.original_user)},
    {0, "original_user", POSTERN_VALUE(r.original_user)},
    {0, "orig_username", POSTERN_VALUE(local_part(r.original_user))},
    {0, "original_username", POSTERN_VALUE(local_part(r.original_user))},
    {0, "orig_domain", POSTERN_VALUE(domain_part(r.original_user))},
    {0, "original_domain", POSTERN_VALUE(domain_part(r.original_user))},
    {0, "hashed_password", POSTERN_VALUE(r.policy.value("hashed_password"))},
    {0, "requested_username", POSTERN_VALUE(r.policy.value("requested_username"))},
    {0, "fail_type", POSTERN_VALUE(r.policy.value("fail_type"))},
    {0, "hostname", POSTERN_VALUE(host_name())},
};
#undef POSTERN_VALUE

std::optional<std::string> by_letter(char letter, Request const& request) {
    for (auto const& each : variables)
        if (each.letter == letter && letter != 0) return each.value(request);
    return std::nullopt;
}

std::optional<std::string> by_name(std::string_view name, Request const& request) {
    for (auto const& each : variables)
        if (each.name == name && !name.empty()) return each.value(request);
    auto const [source, key] = halve(name, ':');
    if (!key) return std::nullopt;
    if (source == "passdb") return request.passdb.value(halve(*key, ':').before);
    if (source == "userdb") return request.userdb.value(halve(*key, ':').before);
    if (source == "oauth2") return request.oauth2.value(halve(*key, ':').before);
    return std::nullopt;
}

// %{if;left;operator;right;then;else}, every part expanded first.
Result<std::string> conditional(std::string_view arguments, Request const& request) {
    std::vector<std::string> parts;
    for (auto const piece : split(arguments, ';')) {
        auto part = expand(piece, request);
        if (!part) return part;
        parts.push_back(std::move(*part));
    }
    if (parts.size() != 5) return permanent("%{if} needs left;operator;right;then;else");
    auto const holds = comparison(parts[0], parts[1], parts[2]);
    if (!holds) return std::unexpected(holds.error());
    return *holds ? parts[3] : parts[4];
}

// What stands between the braces.
Result<std::string> braces_value(std::string_view inside, Request const& request) {
    if (inside.starts_with("if;")) return conditional(inside.substr(3), request);
    auto const pieces = split(inside, '|');
    auto const name = trim(pieces[0]);
    if (auto value = by_name(name, request)) return filtered(std::move(*value), std::span(pieces).subspan(1));
    if (auto const hashed = hash_variable(name)) { // %{sha256;rounds=2,salt=x:user}
        auto const value = by_name(hashed->variable, request);
        if (value) return hash_value(*hashed, *value);
    }
    return permanent("unknown variable %{" + printable(inside, 60) + "}");
}

std::optional<std::size_t> closing_brace(std::string_view text, std::size_t open) {
    std::size_t depth = 0;
    for (std::size_t i = open; i < text.size(); ++i) {
        if (text[i] == '{') ++depth;
        if (text[i] == '}' && --depth == 0) return i;
    }
    return std::nullopt;
}

} // namespace

Result<sql::Template::Variable> scan_variable(std::string_view after_percent) {
    auto const formatting = read_formatting(after_percent);
    auto end = formatting.length;
    if (end == after_percent.size()) return permanent("a lone % at the end; write %% for a percent sign");
    if (after_percent[end] == '{') {
        auto const close = closing_brace(after_percent, end);
        if (!close) return permanent("%{ without }");
        end = *close;
    }
    sql::Template::Variable found{end + 1, std::string(after_percent.substr(0, end + 1))};
    if (auto const tried = variable_value(found.name, Request{}); !tried)
        return permanent(tried.error().text + "; write %% for a percent sign");
    return found;
}

Result<std::string> variable_value(std::string_view variable, Request const& request) {
    auto const formatting = read_formatting(variable);
    auto const rest = variable.substr(formatting.length);
    if (rest.starts_with("{") && rest.ends_with("}")) {
        auto value = braces_value(rest.substr(1, rest.size() - 2), request);
        if (!value) return value;
        return formatted(std::move(*value), formatting);
    }
    auto value = rest.size() == 1 ? by_letter(rest[0], request) : std::nullopt;
    if (!value) return permanent("unknown variable %" + printable(variable, 40));
    return formatted(std::move(*value), formatting);
}

Result<std::string> expand(std::string_view text, Request const& request) {
    std::string expanded;
    while (true) {
        auto const percent = text.find('%');
        expanded += text.substr(0, percent);
        if (percent == std::string_view::npos) return expanded;
        text.remove_prefix(percent + 1);
        if (text.starts_with("%")) {
            expanded += '%';
            text.remove_prefix(1);
            continue;
        }
        auto const variable = scan_variable(text);
        if (!variable) return std::unexpected(variable.error());
        auto value = variable_value(variable->name, request);
        if (!value) return value;
        expanded += *value;
        text.remove_prefix(variable->length);
    }
}

} // namespace postern::auth_socket
