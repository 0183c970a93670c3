// Databases of SQL as Dovecot 2.4 writes them: sql_driver, "pgsql HOST { }", "passdb sql { query = ... }".
#include "auth-socket/dovecot24_conf.h"
#include "auth-socket/users/filters.h"

#include "common/base/text.h"

#include <algorithm>
#include <array>

namespace postern::auth_socket {

namespace {

using config::Block;
using config::Problem;

// name='value', as read_connect() takes it.
void add_word(std::string& connect, std::string_view name, std::string_view value) {
    connect +=
        " " + std::string(name) + "='" + replace_all(replace_all(value, "\\", "\\\\"), "'", "\\'") + "'";
}

// 2.4's names for what a connection to MariaDB needs, where they differ.
constexpr std::array<std::pair<std::string_view, std::string_view>, 5> renamed_words{{
    {"connection_limit", "maxconns"},
    {"ssl_client_ca_file", "ssl_ca"},
    {"ssl_client_ca_dir", "ssl_ca_path"},
    {"ssl_client_cert_file", "ssl_cert"},
    {"ssl_client_key_file", "ssl_key"},
}};

std::string_view word_name(std::string_view name, std::string_view driver) {
    if (name.starts_with(driver) && name.substr(driver.size()).starts_with("_"))
        name.remove_prefix(driver.size() + 1);
    for (auto const& [newer, older] : renamed_words)
        if (name == newer) return older;
    return name;
}

void add_server(std::string& connect, Block const& server, std::string_view driver) {
    auto const* host = server.assignment("host");
    if (host == nullptr) host = server.assignment(std::string(driver) + "_host");
    add_word(connect, "host", host != nullptr ? host->value : server.name);
    for (auto const& each : server.settings) {
        auto const name = word_name(each.name, driver);
        if (name == "connect_timeout") {
            if (auto const span = parse_duration(each.value))
                add_word(connect, name, std::to_string(std::max<long long>(1, span->count() / 1000)));
        } else if (name != "host") {
            add_word(connect, name, each.value);
        }
    }
    for (auto const& parameters : {std::string("parameters"), std::string(driver) + "_parameters"})
        for (auto const* inner : server.all(parameters))
            for (auto const& each : inner->settings) add_word(connect, each.name, each.value);
}

// "pgsql HOST { host = ... parameters { dbname = ... } }" and "mysql HOST { dbname = ... }": of the block, or
// for all.
std::string connect_text(Database24 const& database, std::string_view driver) {
    auto const* path = database.block().assignment("sqlite_path");
    if (path == nullptr) path = database.root().assignment("sqlite_path");
    if (driver == "sqlite") return path == nullptr ? std::string() : path->value;
    auto servers = database.block().all(driver);
    if (servers.empty()) servers = database.root().all(driver);
    std::string connect;
    for (auto const* server : servers) add_server(connect, *server, driver);
    return connect;
}

} // namespace

std::shared_ptr<SqlSettings const> sql_settings_24(Database24 const& database,
                                                   std::vector<Problem>& problems) {
    auto const& place = database.block().place;
    auto driver = database.block().value("sql_driver").value_or("");
    if (driver.empty()) driver = database.root().value("sql_driver").value_or("");
    // The same reader as for a dovecot-sql.conf.ext: it knows the drivers and what is wrong with a connect
    // string.
    auto const text = "driver = " + driver + "\nconnect = " + connect_text(database, driver) + "\n";
    std::vector<Problem> complaints;
    auto settings = parse_sql_settings(text, place.file, complaints);
    for (auto& problem : complaints) problem.place = place;
    problems.insert(problems.end(), complaints.begin(), complaints.end());
    if (!settings) return nullptr;
    settings->default_scheme = "CRYPT";
    settings->pool.name = place.to_string();
    auto const take = [&](std::string_view name, std::string& query, config::Place& query_place) {
        auto const* found = database.setting(name);
        query = found == nullptr ? std::string() : with_braces_only(found->value);
        query_place = found == nullptr ? place : found->place;
    };
    if (database.kind() == "passdb")
        take("query", settings->password_query, settings->password_place);
    else
        take("query", settings->user_query, settings->user_place);
    take("iterate_query", settings->iterate_query, settings->iterate_place);
    auto const& query = database.kind() == "passdb" ? settings->password_query : settings->user_query;
    if (query.empty())
        problems.push_back(
            {Problem::Severity::error, place, std::string(database.kind()) + " sql: query is not set"});
    return std::make_shared<SqlSettings const>(std::move(*settings));
}

} // namespace postern::auth_socket
