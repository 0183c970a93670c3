// Dovecot's % variables.
#include "auth-socket/users/variables.h"

#include "auth-socket/users/filters.h"
#include "auth-socket/users/modifiers.h"
#include "common/base/text.h"

#include <unistd.h>

#include <array>
#include <cstdlib>
#include <functional>
#include <optional>
#include <thread>

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
    return request.authenticated_user.empty() ? request.original_user : request.authenticated_user;
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
    {'h', "home", POSTERN_VALUE("")},
    {'l', "lip", POSTERN_VALUE(r.client.local_ip)},
    {0, "local_ip", POSTERN_VALUE(r.client.local_ip)},
    {'r', "rip", POSTERN_VALUE(r.client.remote_ip)},
    {0, "remote_ip", POSTERN_VALUE(r.client.remote_ip)},
    {'p', "pid", POSTERN_VALUE(std::to_string(r.client_pid))},
    {0, "client_pid", POSTERN_VALUE(std::to_string(r.client_pid))},
    {'w', "password", POSTERN_VALUE(std::string(r.password.reveal()))},
    {'!', "id", POSTERN_VALUE(std::to_string(r.database))},
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
    {0, "session_pid", POSTERN_VALUE(r.session_pid == 0 ? "" : std::to_string(r.session_pid))},
    {0, "client_id", POSTERN_VALUE(r.client.client_id)},
    {0, "login_user", POSTERN_VALUE(r.login_user)},
    {0, "login_username", POSTERN_VALUE(local_part(r.login_user))},
    {0, "login_domain", POSTERN_VALUE(domain_part(r.login_user))},
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

// "name" and "name:default".
std::string field_value(Fields const& fields, std::string_view key) {
    auto const [name, fallback] = halve(key, ':');
    auto const* field = fields.find(name);
    if (field == nullptr) return std::string(fallback.value_or(""));
    return field->value.value_or("");
}

// %{sql:column}, %{passwd_file:field}: from the row that a database's fields { } are made of.
Result<std::optional<std::string>> row_value(std::string_view name, Request const& request) {
    if (!request.row) return std::string(); // while the configuration is checked
    auto const* field = request.row->find(name);
    if (field == nullptr || !field->value) return temporary("the row has no value for it");
    return *field->value;
}

std::optional<std::string> system_value(std::string_view name) {
    if (name == "hostname") return host_name();
    if (name == "cpu_count") return std::to_string(std::thread::hardware_concurrency());
    return std::nullopt;
}

std::optional<std::string> process_value(std::string_view name) {
    if (name == "pid") return std::to_string(getpid());
    if (name == "uid") return std::to_string(geteuid());
    if (name == "gid") return std::to_string(getegid());
    return std::nullopt;
}

Result<std::optional<std::string>> by_name(std::string_view name, Request const& request) {
    for (auto const& each : variables)
        if (each.name == name && !name.empty()) return each.value(request);
    auto const [source, key] = halve(name, ':');
    if (!key) return std::nullopt;
    if (source == "passdb") return field_value(request.passdb, *key);
    if (source == "userdb") return field_value(request.userdb, *key);
    if (source == "oauth2") return field_value(request.oauth2, *key);
    if (source == "sql" || source == "passwd_file") return row_value(*key, request);
    if (source == "system") return system_value(*key);
    if (source == "process") return process_value(*key);
    if (source == "env") {
        auto const* value = std::getenv(std::string(*key).c_str()); // NOLINT(concurrency-mt-unsafe)
        return std::string(value == nullptr ? "" : value);
    }
    return std::nullopt;
}

// The pieces of an %{if}; a backslash makes the next ';', ':' or '%' plain. What stands behind a plain ':' is
// cut off, as in Dovecot. Braces keep what is theirs.
std::vector<std::string> condition_parts(std::string_view text) {
    std::vector<std::string> parts{""};
    std::size_t depth = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto const c = text[i];
        if (c == '{') ++depth;
        if (c == '}' && depth > 0) --depth;
        if (depth == 0 && c == ':') break;
        if (depth == 0 && c == ';') {
            parts.emplace_back();
        } else if (depth == 0 && c == '\\' && i + 1 < text.size() &&
                   std::string_view(";:%").contains(text[i + 1])) {
            if (text[++i] == '%') parts.back() += '%';
            parts.back() += text[i];
        } else {
            parts.back() += c;
        }
    }
    return parts;
}

// %{if;left;operator;right;then;else}, every part expanded first.
Result<std::string> conditional(std::string_view arguments, Request const& request) {
    auto parts = condition_parts(arguments);
    for (auto& part : parts) {
        auto expanded = expand(part, request);
        if (!expanded) return expanded;
        part = std::move(*expanded);
    }
    if (parts.size() == 4) parts.emplace_back();
    if (parts.size() != 5) return permanent("%{if} needs left;operator;right;then;else");
    auto const holds = comparison(parts[0], parts[1], parts[2]);
    if (!holds) return std::unexpected(holds.error());
    return *holds ? parts[3] : parts[4];
}

// %{sha256;rounds=2,salt=x:user}
Result<std::optional<std::string>> hashed_value(std::string_view inside, Request const& request) {
    auto const hash = hash_variable(inside);
    if (!hash) return std::nullopt;
    auto const plain = by_name(hash->variable, request);
    if (!plain || !*plain) return plain;
    return hash_value(*hash, **plain);
}

// What stands between the braces.
Result<std::string> braces_value(std::string_view inside, Request const& request) {
    if (inside.starts_with("if;")) return conditional(inside.substr(3), request);
    auto found = Result<std::optional<std::string>>(std::nullopt);
    auto const is_plain = inside.find_first_of("|(+*% ") == std::string_view::npos;
    if (is_plain) found = by_name(inside, request);
    if (found && !*found && (is_plain || inside.contains(';'))) found = hashed_value(inside, request);
    if (found && *found) return std::move(**found);
    auto value = found ? evaluate(inside, [&](std::string_view name) { return by_name(name, request); })
                       : std::unexpected(std::move(found.error()));
    if (!value) return std::unexpected(std::move(value.error()).within("%{" + printable(inside, 60) + "}"));
    return value;
}

std::optional<std::size_t> end_of_quotes(std::string_view text, std::size_t open) {
    for (auto i = open + 1; i < text.size(); ++i) {
        if (text[i] == '\\')
            ++i;
        else if (text[i] == text[open])
            return i;
    }
    return std::nullopt;
}

// Braces in the quoted arguments of 2.4's filters do not count.
std::optional<std::size_t> closing_brace(std::string_view text, std::size_t open) {
    std::size_t depth = 0, parentheses = 0;
    for (std::size_t i = open; i < text.size(); ++i) {
        if (text[i] == '(') ++parentheses;
        if (text[i] == ')' && parentheses > 0) --parentheses;
        if (parentheses > 0 && (text[i] == '\'' || text[i] == '"'))
            if (auto const end = end_of_quotes(text, i)) i = *end;
        if (text[i] == '{') ++depth;
        if (text[i] == '}' && --depth == 0) return i;
    }
    return std::nullopt;
}

} // namespace

namespace {

// How far the variable behind a '%' goes.
Result<std::string_view> variable_text(std::string_view after_percent) {
    auto end = read_formatting(after_percent).length;
    if (end == after_percent.size()) return permanent("a lone % at the end; write %% for a percent sign");
    if (after_percent[end] == '{') {
        auto const close = closing_brace(after_percent, end);
        if (!close) return permanent("%{ without }");
        end = *close;
    }
    return after_percent.substr(0, end + 1);
}

// Gives each the plain pieces and, with a flag, the variables of a text.
Result<> take_apart(std::string_view text, std::function<Result<>(std::string_view, bool)> const& each) {
    while (true) {
        auto const percent = text.find('%');
        if (auto done = each(text.substr(0, percent), false); !done) return done;
        if (percent == std::string_view::npos) return {};
        text.remove_prefix(percent + 1);
        auto const is_variable = !text.starts_with("%");
        auto const piece = is_variable ? variable_text(text) : text.substr(0, 1);
        if (!piece) return std::unexpected(piece.error());
        if (auto done = each(*piece, is_variable); !done) return done;
        text.remove_prefix(piece->size());
    }
}

} // namespace

Result<sql::Template::Variable> scan_variable(std::string_view after_percent) {
    auto const found = variable_text(after_percent);
    if (!found) return std::unexpected(found.error());
    // What only does not fit an empty value is nothing to complain about yet.
    auto const tried = variable_value(*found, Request{});
    if (!tried && tried.error().kind == ErrorKind::permanent)
        return permanent(tried.error().text + "; write %% for a percent sign");
    return sql::Template::Variable{found->size(), std::string(*found)};
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

Result<> check_template(std::string_view text) {
    return take_apart(text, [](std::string_view piece, bool is_variable) -> Result<> {
        if (!is_variable) return {};
        auto const found = scan_variable(piece);
        return found ? Result<>() : std::unexpected(found.error());
    });
}

Result<std::string> expand(std::string_view text, Request const& request) {
    std::string expanded;
    auto const done = take_apart(text, [&](std::string_view piece, bool is_variable) -> Result<> {
        auto value = is_variable ? variable_value(piece, request) : Result<std::string>(piece);
        if (!value) return std::unexpected(std::move(value.error()));
        expanded += *value;
        return {};
    });
    if (!done) return std::unexpected(done.error());
    return expanded;
}

} // namespace postern::auth_socket
