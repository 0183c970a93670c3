// "dsn:" data sets: rows of a database, asked for one key at a time.
#pragma once

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/sql/database.h"
#include "milter-dkim/tables/data_set.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// backend://[user[:password]@][port+]host/database/table=T?keycol=K?datacol=A,B[?filter=SQL]. Backends mysql
// (mariadb), pgsql, sqlite (sqlite3, where host and database are the file's path). "=XX" stands for an octet
// in user, password, host and database. Without keycol the first datacol is the key.
struct Dsn {
    sql::ServerSettings server;
    std::string table;
    std::string key_column;
    std::vector<std::string> data_columns;
    std::string filter;

    // The text behind "dsn:". The error never holds the password.
    static Result<Dsn> parse(std::string_view text);
    // With one bound value, the key.
    sql::Statement statement() const;
    // With that many bound keys; the first column of each row is its key.
    sql::Statement statement_for(std::size_t keys) const;
};

// Connects when first asked. Values of several columns are joined with ":", as a KeyTable row has them.
DataSetOpener::Database database_opener(Log& log, Metrics& metrics);

} // namespace postern::milter_dkim
