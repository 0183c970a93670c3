// Dovecot 2.4's way of writing databases: "passdb sql { query = ... fields { user = %{sql:name} } }".
#include "auth-socket/dovecot24_conf.h"

#include "auth-socket/users/filters.h"
#include "auth-socket/users/variables.h"
#include "common/base/text.h"

#include <algorithm>
#include <array>

namespace postern::auth_socket {

namespace {

using config::Block;
using config::Problem;

std::string with_underscores(std::string_view driver) { return replace_all(driver, "-", "_"); }

} // namespace

std::string Database24::driver() const {
    for (auto const& name : {std::string("driver"), std::string(kind_) + "_driver"})
        if (auto const value = block_.value(name)) return *value;
    return block_.name;
}

// Settings of a passwd-file are named without the kind: passwd_file_path.
std::string Database24::driver_prefix() const { return with_underscores(driver()) + "_"; }

bool Database24::names(std::string_view given, std::string_view name) const {
    auto const kind = std::string(kind_) + "_";
    for (auto const& prefix : {std::string(), driver_prefix(), kind, kind + driver_prefix()})
        if (given == prefix + std::string(name)) return true;
    return false;
}

config::Assignment const* Database24::setting(std::string_view name) const {
    auto const kind = std::string(kind_) + "_";
    for (auto const& prefix : {std::string(), driver_prefix(), kind, kind + driver_prefix()})
        if (auto const* found = block_.assignment(prefix + std::string(name))) return found;
    for (auto const& prefix : {driver_prefix(), kind, kind + driver_prefix()})
        if (auto const* found = root_.assignment(prefix + std::string(name))) return found;
    return nullptr;
}

std::string Database24::value(std::string_view name) const {
    auto const* found = setting(name);
    return found == nullptr ? std::string() : found->value;
}

bool Database24::flag(std::string_view name, bool fallback, std::vector<Problem>& problems) const {
    auto const* found = setting(name);
    if (found == nullptr) return fallback;
    auto const value = config::parse_boolean(found->value);
    if (!value)
        problems.push_back({Problem::Severity::error, found->place, found->name + ": " + value.error().text});
    return value.value_or(fallback);
}

std::vector<std::string> Database24::list(std::string_view name) const {
    std::vector<std::string> words;
    if (auto const* found = setting(name))
        for (auto const word : split_words(found->value, " \t,")) words.emplace_back(word);
    for (auto const& inner : block_.blocks)
        if (names(inner.kind, name))
            for (auto const& each : inner.settings)
                if (config::parse_boolean(each.value).value_or(false)) words.push_back(each.name);
    return words;
}

Fields Database24::fields(std::vector<Problem>& problems) const {
    auto const row = with_underscores(driver());
    Fields found;
    for (auto const& inner : block_.blocks) {
        if (inner.kind != "fields" && inner.kind != std::string(kind_) + "_fields") continue;
        for (auto const& each : inner.settings) {
            for (auto const* source : {"sql", "passwd_file"})
                if (each.value.contains("%{" + std::string(source) + ":") && row != source)
                    problems.push_back({Problem::Severity::error, each.place,
                                        "%{" + std::string(source) + ":...} is not known in " +
                                            std::string(kind_) + " " + driver()});
            found.set(each.name, with_braces_only(each.value));
            if (auto const checked = check_template(found.value(each.name)); !checked)
                problems.push_back({Problem::Severity::error, each.place, checked.error().text});
        }
    }
    return found;
}

namespace {

struct Known {
    std::string_view name, driver; // driver empty: all of them
    std::string_view without_effect = {};
};

// What may stand in a passdb or userdb block.
constexpr std::array known_settings{
    Known{"name", ""},
    Known{"driver", ""},
    Known{"fields_import_all", ""},
    Known{"mechanisms_filter", ""},
    Known{"username_filter", ""},
    Known{"default_password_scheme", ""},
    Known{"skip", ""},
    Known{"result_success", ""},
    Known{"result_failure", ""},
    Known{"result_internalfail", ""},
    Known{"deny", ""},
    Known{"master", ""},
    Known{"use_cache", ""},
    Known{"use_worker", ""},
    Known{"query", "sql"},
    Known{"iterate_query", "sql"},
    Known{"update_query", "sql", "one-time passwords are not stepped on"},
    Known{"path", "passwd-file"},
    Known{"service_name", "pam"},
    Known{"session", "pam", "no PAM session is opened"},
    Known{"setcred", "pam", "no credentials are set"},
    Known{"max_requests", "pam"},
    Known{"failure_show_msg", "pam", "PAM's words stay in the log"},
    Known{"password", "static"},
    Known{"allow_all_users", "static"},
};

void check_names(Database24 const& database, std::vector<Problem>& problems) {
    auto const driver = database.driver();
    for (auto const& each : database.block().settings) {
        auto const known = std::ranges::find_if(known_settings, [&](Known const& setting) {
            return (setting.driver.empty() || setting.driver == driver) &&
                   database.names(each.name, setting.name);
        });
        if (known != known_settings.end()) {
            if (!known->without_effect.empty() && config::parse_boolean(each.value).value_or(true))
                problems.push_back({Problem::Severity::warning, each.place,
                                    each.name + " has no effect: " + std::string(known->without_effect)});
            continue;
        }
        if (each.name == "args" || each.name == "default_fields" || each.name == "override_fields")
            problems.push_back(
                {Problem::Severity::error, each.place,
                 each.name + " is Dovecot 2.3's: 2.4 has settings of their own and fields { }"});
        else if (!each.name.contains('_')) // any setting of the file may be given for this block
            problems.push_back({Problem::Severity::error, each.place,
                                "unknown setting \"" + printable(each.name, 60) + "\" in " +
                                    std::string(database.kind()) + " " + driver});
    }
}

} // namespace

bool is_dovecot24(Block const& root) {
    return root.value("dovecot_config_version").value_or("").starts_with("2.4");
}

void understand_dovecot24_database(Database24 const& source, DatabaseBlock& database,
                                   std::vector<Problem>& problems) {
    check_names(source, problems);
    for (auto const& word : source.list("mechanisms_filter")) database.mechanisms.push_back(to_upper(word));
    database.default_scheme = to_upper(source.value("default_password_scheme"));
    database.imports_all = source.flag("fields_import_all", true, problems);
    database.use_cache = source.flag("use_cache", true, problems);
    database.override_fields = source.fields(problems);
    if (database.driver == "sql") {
        database.sql = sql_settings_24(source, problems);
    } else if (database.driver == "passwd-file") {
        database.path = with_braces_only(source.value("path"));
        // Dovecot looks for the name that auth_username_format makes, which may be set for this file alone.
        database.username_format =
            with_braces_only(source.block().value("auth_username_format").value_or(""));
    } else if (database.driver == "pam") {
        database.service = with_braces_only(source.value("service_name"));
    } else if (database.driver == "oauth2") {
        if (database.mechanisms.empty()) database.mechanisms = {"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"};
        database.tokens = dovecot24_tokens(source.root(), &source.block(), problems);
    } else if (database.driver == "static" && source.kind() == "passdb") {
        if (auto const* password = source.setting("password"))
            database.default_fields.set("password", with_braces_only(password->value));
    } else if (database.driver == "static" && source.flag("allow_all_users", false, problems)) {
        database.args = "allow_all_users=yes";
    }
}

} // namespace postern::auth_socket
