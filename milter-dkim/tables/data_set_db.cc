// Reads the two file databases that OpenDKIM knows, whole, so that a generation never changes under a
// message.
#include "milter-dkim/tables/data_set_db.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <memory>

#if POSTERN_BERKELEY_DB
#include <db.h>
#endif
#if POSTERN_LMDB
#include <lmdb.h>

#include <sys/stat.h>
#endif

namespace postern::milter_dkim {

namespace {

#if POSTERN_BERKELEY_DB || POSTERN_LMDB
// Programs that write such files differ in whether a NUL ends their texts.
std::string_view without_end(std::string_view octets) { return octets.substr(0, octets.find('\0')); }

Result<> add_row(std::vector<Row>& rows, std::string_view key, std::string_view value,
                 std::string const& path) {
    if (rows.size() >= max_rows) return permanent(fmt::format("{} has over {} rows", path, max_rows));
    auto const written = without_end(key);
    if (!written.empty())
        rows.push_back({to_lower(written), std::string(written), std::string(without_end(value)), {path, 0}});
    return {};
}
#endif

#if !POSTERN_BERKELEY_DB || !POSTERN_LMDB
std::unexpected<Error> built_without(std::string_view library) {
    return permanent(fmt::format("built without {}; use {}", library, data_set_kinds()));
}
#endif

} // namespace

std::string_view data_set_kinds() {
#if POSTERN_BERKELEY_DB && POSTERN_LMDB
    return "csl:, file:, refile:, db:, mdb: or dsn: (SQL)";
#elif POSTERN_BERKELEY_DB
    return "csl:, file:, refile:, db: or dsn: (SQL)";
#elif POSTERN_LMDB
    return "csl:, file:, refile:, mdb: or dsn: (SQL)";
#else
    return "csl:, file:, refile: or dsn: (SQL)";
#endif
}

#if POSTERN_BERKELEY_DB

Result<std::vector<Row>> read_berkeley_db(std::string const& path) {
    struct Close {
        void operator()(DB* database) const { database->close(database, 0); }
        void operator()(DBC* cursor) const { cursor->close(cursor); }
    };
    auto const failed = [&](int code) { return permanent(fmt::format("{}: {}", path, db_strerror(code))); };
    DB* made = nullptr;
    if (int const code = db_create(&made, nullptr, 0); code != 0) return failed(code);
    std::unique_ptr<DB, Close> const database(made);
    database->set_errcall(database.get(), [](DB_ENV const*, char const*, char const*) {});
    if (int const code =
            database->open(database.get(), nullptr, path.c_str(), nullptr, DB_UNKNOWN, DB_RDONLY, 0);
        code != 0)
        return failed(code);
    DBC* at = nullptr;
    if (int const code = database->cursor(database.get(), nullptr, &at, 0); code != 0) return failed(code);
    std::unique_ptr<DBC, Close> const cursor(at);
    std::vector<Row> rows;
    DBT key{};
    DBT value{};
    int code = 0;
    while ((code = cursor->get(cursor.get(), &key, &value, DB_NEXT)) == 0)
        if (auto added = add_row(rows, {static_cast<char*>(key.data), key.size},
                                 {static_cast<char*>(value.data), value.size}, path);
            !added)
            return std::unexpected(added.error());
    if (code != DB_NOTFOUND) return failed(code);
    return rows;
}

#else

Result<std::vector<Row>> read_berkeley_db(std::string const&) { return built_without("Berkeley DB"); }

#endif

#if POSTERN_LMDB

Result<std::vector<Row>> read_lmdb(std::string const& path) {
    struct Close {
        void operator()(MDB_env* environment) const { mdb_env_close(environment); }
        void operator()(MDB_txn* transaction) const { mdb_txn_abort(transaction); }
        void operator()(MDB_cursor* cursor) const { mdb_cursor_close(cursor); }
    };
    auto const failed = [&](int code) { return permanent(fmt::format("{}: {}", path, mdb_strerror(code))); };
    MDB_env* made = nullptr;
    if (int const code = mdb_env_create(&made); code != 0) return failed(code);
    std::unique_ptr<MDB_env, Close> const environment(made);
    struct stat status{};
    bool const is_file = stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
    // The writer's lock file is not ours to make.
    unsigned const flags = MDB_RDONLY | MDB_NOLOCK | (is_file ? MDB_NOSUBDIR : 0u);
    if (int const code = mdb_env_open(environment.get(), path.c_str(), flags, 0); code != 0)
        return failed(code);
    MDB_txn* began = nullptr;
    if (int const code = mdb_txn_begin(environment.get(), nullptr, MDB_RDONLY, &began); code != 0)
        return failed(code);
    std::unique_ptr<MDB_txn, Close> const transaction(began);
    MDB_dbi database = 0;
    if (int const code = mdb_dbi_open(transaction.get(), nullptr, 0, &database); code != 0)
        return failed(code);
    MDB_cursor* at = nullptr;
    if (int const code = mdb_cursor_open(transaction.get(), database, &at); code != 0) return failed(code);
    std::unique_ptr<MDB_cursor, Close> const cursor(at);
    std::vector<Row> rows;
    MDB_val key{};
    MDB_val value{};
    int code = 0;
    while ((code = mdb_cursor_get(cursor.get(), &key, &value, MDB_NEXT)) == 0)
        if (auto added = add_row(rows, {static_cast<char*>(key.mv_data), key.mv_size},
                                 {static_cast<char*>(value.mv_data), value.mv_size}, path);
            !added)
            return std::unexpected(added.error());
    if (code != MDB_NOTFOUND) return failed(code);
    return rows;
}

#else

Result<std::vector<Row>> read_lmdb(std::string const&) { return built_without("LMDB"); }

#endif

} // namespace postern::milter_dkim
