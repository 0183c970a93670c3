// Dovecot 2.4's way of writing databases: "passdb sql { query = ... }", sql_driver, "pgsql HOST { }", fields
// { }.
#include "auth-socket/settings.h"
#include "auth-socket/users/sql.h"

#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

using config::Block;
using config::Problem;

// A setting of a passdb or userdb block stands there with or without its prefixes: query, sql_query,
// passdb_sql_query.
config::Assignment const* setting(Block const& block, std::string_view kind, std::string_view name) {
    auto driver = replace_all(block.value("driver").value_or(block.name), "-", "_") + "_";
    for (auto const& prefix :
         {std::string(), driver, std::string(kind) + "_", std::string(kind) + "_" + driver})
        if (auto const* found = block.assignment(prefix + std::string(name))) return found;
    return nullptr;
}

std::string setting_value(Block const& block, std::string_view kind, std::string_view name) {
    auto const* found = setting(block, kind, name);
    return found == nullptr ? std::string() : found->value;
}

Fields block_fields(Block const& block, std::string_view kind, std::vector<Problem>& problems) {
    Fields fields;
    for (auto const& name : {std::string("fields"), std::string(kind) + "_fields"})
        for (auto const* inner : block.all(name))
            for (auto const& each : inner->settings) {
                if (each.value.contains("%{sql:"))
                    problems.push_back(
                        {Problem::Severity::error, each.place,
                         "%{sql:...} in fields is not known: name the column in the query instead"});
                fields.set(each.name, each.value);
            }
    return fields;
}

// name='value', as read_connect() takes it.
void add_word(std::string& connect, std::string_view name, std::string_view value) {
    connect +=
        " " + std::string(name) + "='" + replace_all(replace_all(value, "\\", "\\\\"), "'", "\\'") + "'";
}

// "pgsql HOST { host = ... parameters { dbname = ... } }" and "mysql HOST { dbname = ... }".
std::string connect_text(Block const& root, std::string_view driver) {
    if (driver == "sqlite") return root.value("sqlite_path").value_or("");
    std::string connect;
    for (auto const* server : root.all(driver)) {
        add_word(connect, "host", server->value("host").value_or(server->name));
        for (auto const& each : server->settings) {
            if (each.name == "connection_limit")
                add_word(connect, "maxconns", each.value);
            else if (each.name != "host")
                add_word(connect, each.name, each.value);
        }
        for (auto const* parameters : server->all("parameters"))
            for (auto const& each : parameters->settings) add_word(connect, each.name, each.value);
    }
    return connect;
}

std::shared_ptr<SqlSettings const> sql_settings(Block const& root, Block const& block, std::string_view kind,
                                                std::vector<Problem>& problems) {
    auto const driver = setting(block, kind, "sql_driver") != nullptr
                            ? setting_value(block, kind, "sql_driver")
                            : root.value("sql_driver").value_or("");
    // The same reader as for a dovecot-sql.conf.ext: it knows the drivers and what is wrong with a connect
    // string.
    auto const text = "driver = " + driver + "\nconnect = " + connect_text(root, driver) + "\n";
    std::vector<Problem> complaints;
    auto settings = parse_sql_settings(text, block.place.file, complaints);
    for (auto& problem : complaints) problem.place = block.place;
    problems.insert(problems.end(), complaints.begin(), complaints.end());
    if (!settings) return nullptr;
    settings->default_scheme = "CRYPT";
    settings->pool.name = block.place.to_string();
    auto const take = [&](std::string_view name, std::string& query, config::Place& place) {
        auto const* found = setting(block, kind, name);
        if (found == nullptr) return;
        query = found->value;
        place = found->place;
    };
    if (kind == "passdb")
        take("query", settings->password_query, settings->password_place);
    else
        take("query", settings->user_query, settings->user_place);
    take("iterate_query", settings->iterate_query, settings->iterate_place);
    return std::make_shared<SqlSettings const>(std::move(*settings));
}

} // namespace

bool is_dovecot24(Block const& root) {
    return root.value("dovecot_config_version").value_or("").starts_with("2.4");
}

void understand_dovecot24_database(Block const& root, Block const& block, std::string_view kind,
                                   DatabaseBlock& database, std::vector<Problem>& problems) {
    if (auto const* mechanisms = setting(block, kind, "mechanisms_filter")) {
        database.mechanisms.clear();
        for (auto const word : split_words(mechanisms->value, " \t,"))
            database.mechanisms.push_back(to_upper(word));
    }
    database.default_scheme = to_upper(setting_value(block, kind, "default_password_scheme"));
    auto const fields = block_fields(block, kind, problems);
    if (database.driver == "sql") {
        database.sql = sql_settings(root, block, kind, problems);
    } else if (database.driver == "passwd-file") {
        database.args = setting_value(block, kind, "passwd_file_path");
    } else if (database.driver == "pam") {
        database.args = setting_value(block, kind, "service_name");
    } else if (database.driver == "oauth2") {
        database.tokens = dovecot24_tokens(root, &block, problems);
    } else if (database.driver == "static" && kind == "passdb") {
        if (auto const* password = setting(block, kind, "password"))
            database.default_fields.set("password", password->value);
    }
    database.override_fields.merge(fields);
}

} // namespace postern::auth_socket
