// passdb { } and userdb { } blocks of a dovecot.conf.
#include "auth-socket/dovecot24_conf.h"
#include "auth-socket/settings.h"
#include "auth-socket/users/files.h"
#include "auth-socket/users/variables.h"

#include "common/base/text.h"

#include <algorithm>
#include <array>
#include <functional>
#include <utility>

namespace postern::auth_socket {

namespace {

using config::Block;
using config::Problem;

constexpr std::array<std::pair<std::string_view, Rule>, 6> rules{{
    {"return-ok", Rule::return_ok},
    {"return", Rule::return_here},
    {"return-fail", Rule::return_fail},
    {"continue", Rule::continue_on},
    {"continue-ok", Rule::continue_ok},
    {"continue-fail", Rule::continue_fail},
}};

constexpr std::array<std::pair<std::string_view, Skip>, 5> skips{{
    {"never", Skip::never},
    {"authenticated", Skip::when_known},
    {"unauthenticated", Skip::when_unknown},
    {"found", Skip::when_known},
    {"notfound", Skip::when_unknown},
}};

// Where a setting of the block stands; 2.4 has several names for it.
using Find = std::function<config::Assignment const*(std::string_view name)>;

template <class T, std::size_t size>
void read_word(Find const& find, std::string_view name,
               std::array<std::pair<std::string_view, T>, size> const& words, T& target,
               std::vector<Problem>& problems) {
    auto const* assignment = find(name);
    if (assignment == nullptr) return;
    for (auto const& [word, value] : words) {
        if (word != assignment->value) continue;
        target = value;
        return;
    }
    problems.push_back({Problem::Severity::error, assignment->place,
                        std::string(name) + ": unknown value \"" + printable(assignment->value) + "\""});
}

bool read_flag(Find const& find, std::string_view name, std::vector<Problem>& problems) {
    auto const* assignment = find(name);
    if (assignment == nullptr) return false;
    auto const value = config::parse_boolean(assignment->value);
    if (!value)
        problems.push_back(
            {Problem::Severity::error, assignment->place, std::string(name) + ": " + value.error().text});
    return value.value_or(false);
}

void read_rules(Find const& find, DatabaseBlock& database, std::vector<Problem>& problems) {
    if (auto const* filter = find("username_filter")) database.username_filter = filter->value;
    database.master = read_flag(find, "master", problems);
    database.deny = read_flag(find, "deny", problems);
    if (database.deny) database.internal_failure = Rule::return_fail;
    read_word(find, "skip", skips, database.skip, problems);
    read_word(find, "result_success", rules, database.success, problems);
    read_word(find, "result_failure", rules, database.failure, problems);
    read_word(find, "result_internalfail", rules, database.internal_failure, problems);
}

// "uid=vmail home=/var/mail/%d": with variables that are known.
Fields template_fields(Find const& find, std::string_view name, std::vector<Problem>& problems) {
    auto const* assignment = find(name);
    if (assignment == nullptr) return {};
    auto fields = argument_fields(assignment->value);
    for (auto const& [field, value] : fields)
        if (auto const checked = check_template(value.value_or("")); !checked)
            problems.push_back({Problem::Severity::error, assignment->place,
                                std::string(name) + ": " + field + ": " + checked.error().text});
    return fields;
}

constexpr std::array<std::string_view, 15> known_settings{
    "name",       "driver", "args",           "default_fields", "override_fields",
    "mechanisms", "skip",   "result_success", "result_failure", "result_internalfail",
    "deny",       "pass",   "master",         "auth_verbose",   "username_filter"};

void check_names(Block const& block, std::vector<Problem>& problems) {
    std::vector<std::string_view> const known(known_settings.begin(), known_settings.end());
    for (auto const& each : block.settings)
        if (std::ranges::find(known, each.name) == known.end())
            problems.push_back(
                {Problem::Severity::error, each.place, config::unknown_setting(each.name, known)});
}

void warn_of_pam_sessions(Block const& block, std::vector<Problem>& problems) {
    auto const* args = block.assignment("args");
    if (args == nullptr) return;
    for (auto const word : split_words(args->value))
        for (auto const* name : {"session", "setcred"})
            if (word == name || word == std::string(name) + "=yes")
                problems.push_back({Problem::Severity::warning, args->place,
                                    std::string(word) + " has no effect: only the password is checked"});
}

void read_23(Block const& block, Find const& find, DatabaseBlock& database, std::vector<Problem>& problems) {
    check_names(block, problems);
    if (database.driver == "pam") warn_of_pam_sessions(block, problems);
    database.args = block.value("args").value_or("");
    database.default_fields = template_fields(find, "default_fields", problems);
    database.override_fields = template_fields(find, "override_fields", problems);
    auto const mechanisms = block.value("mechanisms").value_or("");
    for (auto const word : split_words(mechanisms, " \t,")) database.mechanisms.push_back(to_upper(word));
    if (database.driver == "oauth2" && database.mechanisms.empty())
        database.mechanisms = {"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"};
    if (read_flag(find, "pass", problems)) database.success = Rule::continue_on;
}

// fail2ban's filter takes 3 to 15 small letters and dashes for the name in a log line.
std::string log_name(std::string const& driver, std::string const& name) {
    auto const fits = name.size() >= 3 && name.size() <= 15 &&
                      name.find_first_not_of("abcdefghijklmnopqrstuvwxyz-") == std::string::npos;
    if (fits) return name;
    return driver == "oauth2" ? "oauth" : driver;
}

} // namespace

std::vector<DatabaseBlock> understand_databases(Block const& root, std::string_view kind,
                                                std::vector<Problem>& problems) {
    std::vector<DatabaseBlock> databases;
    auto const newer = is_dovecot24(root);
    for (auto const* block : root.all(kind)) {
        Database24 const source(root, *block, kind);
        auto const find = [&](std::string_view name) {
            return newer ? source.setting(name) : block->assignment(name);
        };
        DatabaseBlock database;
        database.place = block->place;
        database.driver = source.driver();
        auto const* name = find("name");
        database.name = log_name(database.driver, name != nullptr ? name->value : "");
        if (newer)
            understand_dovecot24_database(source, database, problems);
        else
            read_23(*block, find, database, problems);
        read_rules(find, database, problems);
        databases.push_back(std::move(database));
    }
    return databases;
}

} // namespace postern::auth_socket
