// The .cf files of pgsql_table(5), mysql_table(5) and sqlite_table(5), up to Postfix 3.11.
#pragma once

#include "common/base/error.h"
#include "common/config/settings.h"
#include "common/sql/database.h"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace postern::sql_maps {

// One file's settings. Both forms end as a query: the legacy one (table, select_field, where_field,
// additional_conditions, select_function) is put together here.
struct MapFile {
    sql::Driver driver = sql::Driver::sqlite;
    std::string path;
    std::vector<sql::ServerSettings> servers; // one per host, in the file's order
    std::string query;
    std::string result_format = "%s";
    std::string domain;             // the list as it stands; empty: every domain
    int expansion_limit = 0;        // values in one answer; 0: no limit
    bool require_result_set = true; // MariaDB: a procedure without result set is an error
    std::chrono::seconds idle_interval{60};
    std::chrono::seconds retry_interval{60};

    std::string table() const; // "pgsql:/etc/postfix/x.cf"
};

struct MapFileResult {
    MapFile file;
    std::vector<config::Problem> problems; // an error among them: the file cannot be used
};

MapFileResult parse_map_file(std::string_view text, sql::Driver driver, std::string const& path);

// "pgsql", "mysql", "sqlite"; absent for every other kind of table.
std::optional<sql::Driver> driver_by_name(std::string_view type);

// What "pgsql:/etc/postfix/x.cf" says. Absent: a table of another kind.
struct TableName {
    sql::Driver driver;
    std::string path;
};
std::optional<TableName> parse_table_name(std::string_view table);

} // namespace postern::sql_maps
