// passdb { } and userdb { } blocks of a dovecot.conf.
#include "auth-socket/settings.h"
#include "auth-socket/users/files.h"

#include "common/base/text.h"

#include <array>
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

template <class T, std::size_t size>
void read_word(Block const& block, std::string_view name,
               std::array<std::pair<std::string_view, T>, size> const& words, T& target,
               std::vector<Problem>& problems) {
    auto const* assignment = block.assignment(name);
    if (assignment == nullptr) return;
    for (auto const& [word, value] : words) {
        if (word != assignment->value) continue;
        target = value;
        return;
    }
    problems.push_back({Problem::Severity::error, assignment->place,
                        std::string(name) + ": unknown value \"" + printable(assignment->value) + "\""});
}

bool read_flag(Block const& block, std::string_view name, std::vector<Problem>& problems) {
    auto const* assignment = block.assignment(name);
    if (assignment == nullptr) return false;
    auto const value = config::parse_boolean(assignment->value);
    if (!value)
        problems.push_back(
            {Problem::Severity::error, assignment->place, std::string(name) + ": " + value.error().text});
    return value.value_or(false);
}

DatabaseBlock read_database(Block const& block, std::vector<Problem>& problems) {
    DatabaseBlock database;
    database.place = block.place;
    database.driver = block.value("driver").value_or(block.name);
    // fail2ban's filter takes letters only for the name in a log line.
    database.name = block.value("name").value_or(database.driver == "oauth2" ? "oauth" : database.driver);
    database.args = block.value("args").value_or("");
    database.default_fields = argument_fields(block.value("default_fields").value_or(""));
    database.override_fields = argument_fields(block.value("override_fields").value_or(""));
    auto const mechanisms = block.value("mechanisms").value_or("");
    for (auto const word : split_words(mechanisms, " \t,")) database.mechanisms.push_back(to_upper(word));
    if (database.driver == "oauth2" && database.mechanisms.empty())
        database.mechanisms = {"PLAIN", "LOGIN", "OAUTHBEARER", "XOAUTH2"};
    database.username_filter = block.value("username_filter").value_or("");
    database.master = read_flag(block, "master", problems);
    database.deny = read_flag(block, "deny", problems);
    if (read_flag(block, "pass", problems)) database.success = Rule::continue_on;
    if (database.deny) database.internal_failure = Rule::return_fail;
    read_word(block, "skip", skips, database.skip, problems);
    read_word(block, "result_success", rules, database.success, problems);
    read_word(block, "result_failure", rules, database.failure, problems);
    read_word(block, "result_internalfail", rules, database.internal_failure, problems);
    return database;
}

} // namespace

std::vector<DatabaseBlock> understand_databases(Block const& root, std::string_view kind,
                                                std::vector<Problem>& problems) {
    std::vector<DatabaseBlock> databases;
    for (auto const* block : root.all(kind)) {
        databases.push_back(read_database(*block, problems));
        if (is_dovecot24(root)) understand_dovecot24_database(root, *block, kind, databases.back(), problems);
    }
    return databases;
}

} // namespace postern::auth_socket
