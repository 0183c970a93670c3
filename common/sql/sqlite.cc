// SQLite: one file, statements bounded by the deadline, never created or written unless asked.
#include "common/sql/database.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <sqlite3.h>

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include <sys/stat.h>

namespace postern::sql {

namespace {

struct CloseDatabase {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
};
struct FinalizeStatement {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using DatabaseHandle = std::unique_ptr<sqlite3, CloseDatabase>;
using StatementHandle = std::unique_ptr<sqlite3_stmt, FinalizeStatement>;

// How many virtual machine steps pass between two looks at the clock.
constexpr int steps_between_looks = 2000;
constexpr std::size_t max_prepared = 64; // statements kept on one connection

// What the file, its locks or the memory refuse may go well later; what the statement says will not.
ErrorKind kind_of(int code) {
    switch (code & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_AUTH:
    case SQLITE_READONLY:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_MISUSE:
    case SQLITE_RANGE:
    case SQLITE_TOOBIG: return ErrorKind::permanent;
    default: return ErrorKind::temporary;
    }
}

class SqliteConnection final : public Connection {
  public:
    SqliteConnection(DatabaseHandle database, std::string path, struct stat const& opened)
        : database_(std::move(database)), path_(std::move(path)), device_(opened.st_dev),
          inode_(opened.st_ino) {}

    Result<Rows> query(Statement const& statement, std::span<std::string const> values,
                       Deadline deadline) override;
    Result<> query_all(std::span<Query const> queries, Answers& answers) override;
    bool healthy() override {
        struct stat now{};
        return ::stat(path_.c_str(), &now) == 0 && now.st_dev == device_ && now.st_ino == inode_;
    }
    Result<> run(std::string const& sql, Deadline deadline);
    void may_write() { writes_ = true; }

  private:
    // What stops a statement that runs, and who is told when it runs long.
    struct Watch {
        Deadline deadline;
        std::function<void()> overdue = {};
        Deadline patience = Deadline::never();
    };
    void watch(Watch& over);
    static int look(void* over);
    Result<Rows> query(Statement const& statement, std::span<std::string const> values, Watch& over);
    std::unexpected<Error> failure(int code) const;
    Result<sqlite3_stmt*> prepared(std::string const& sql);
    Result<Rows> fetch(sqlite3_stmt* statement) const;

    DatabaseHandle database_;
    std::string path_;
    std::map<std::string, StatementHandle, std::less<>> prepared_; // by text; goes before database_
    dev_t device_;
    ino_t inode_;
    bool writes_ = false;
};

std::unexpected<Error> SqliteConnection::failure(int code) const {
    return std::unexpected(
        Error{kind_of(code), fmt::format("{}: {}", path_, sqlite3_errmsg(database_.get()))});
}

// Locks are waited for, and statements run, until the deadline; it must outlive the statement.
void SqliteConnection::watch(Watch& over) {
    auto const wait = over.deadline.is_never() ? 3'600'000 : over.deadline.poll_timeout();
    sqlite3_busy_timeout(database_.get(), wait);
    sqlite3_progress_handler(database_.get(), steps_between_looks, &look, &over);
}

int SqliteConnection::look(void* over) {
    auto& watch = *static_cast<Watch*>(over);
    if (watch.overdue && watch.patience.expired()) std::exchange(watch.overdue, {})();
    return watch.deadline.expired() ? 1 : 0;
}

// SQLite itself prepares a kept statement anew when the schema has changed.
Result<sqlite3_stmt*> SqliteConnection::prepared(std::string const& sql) {
    if (auto const known = prepared_.find(sql); known != prepared_.end()) return known->second.get();
    if (prepared_.size() >= max_prepared) prepared_.clear();
    sqlite3_stmt* made = nullptr;
    int const code = sqlite3_prepare_v3(database_.get(), sql.data(), static_cast<int>(sql.size()),
                                        SQLITE_PREPARE_PERSISTENT, &made,
                                        nullptr); // further statements are passed over, as Postfix does
    StatementHandle statement(made);
    if (code != SQLITE_OK) return failure(code);
    if (!statement) return permanent(path_ + ": the statement is empty");
    return prepared_.emplace(sql, std::move(statement)).first->second.get();
}

Result<Rows> SqliteConnection::fetch(sqlite3_stmt* statement) const {
    Rows out;
    int const columns = sqlite3_column_count(statement);
    for (int i = 0; i < columns; ++i) out.columns.emplace_back(sqlite3_column_name(statement, i));
    std::size_t octets = 0;
    int code = SQLITE_OK;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        auto& row = out.rows.emplace_back();
        for (int i = 0; i < columns; ++i) {
            auto const* text = reinterpret_cast<char const*>(sqlite3_column_text(statement, i));
            auto const size = static_cast<std::size_t>(sqlite3_column_bytes(statement, i));
            row.push_back(text == nullptr ? Value() : Value(std::string(text, size)));
            octets += size;
        }
        if (out.rows.size() > max_rows || octets > max_result_octets)
            return permanent(path_ + ": the answer is too large");
    }
    if (code != SQLITE_DONE) return failure(code);
    return out;
}

Result<Rows> SqliteConnection::query(Statement const& statement, std::span<std::string const> values,
                                     Deadline deadline) {
    Watch over{deadline};
    return query(statement, values, over);
}

// In one transaction, so that the file is locked, and looked at for changes, once. When a statement takes
// long, those behind it go elsewhere.
Result<> SqliteConnection::query_all(std::span<Query const> queries, Answers& answers) {
    if (writes_ || queries.size() < 2) return Connection::query_all(queries, answers);
    if (auto begun = run("BEGIN", queries.front().deadline); !begun) return begun;
    auto const patience = Deadline::after(batch_patience);
    auto done = one_by_one(queries, answers, [&](Query const& each, std::function<void()> overdue) {
        Watch over{each.deadline, std::move(overdue), patience};
        return query(*each.statement, each.values, over);
    });
    // Some failures have ended the transaction already.
    if (sqlite3_get_autocommit(database_.get()) == 0 && done)
        done = run("COMMIT", Deadline::after(batch_patience));
    return done;
}

Result<Rows> SqliteConnection::query(Statement const& statement, std::span<std::string const> values,
                                     Watch& over) {
    watch(over);
    auto const ready = prepared(with_placeholders(statement, Driver::sqlite));
    if (!ready) return std::unexpected(ready.error());
    // Whatever comes of it, the statement gives its locks back and keeps no pointer to the values.
    auto const forget = [](sqlite3_stmt* used) {
        sqlite3_reset(used);
        sqlite3_clear_bindings(used);
    };
    std::unique_ptr<sqlite3_stmt, decltype(forget)> const used(*ready, forget);
    for (std::size_t i = 0; i < values.size(); ++i) {
        int const code = sqlite3_bind_text(used.get(), static_cast<int>(i + 1), values[i].data(),
                                           static_cast<int>(values[i].size()), SQLITE_STATIC);
        if (code != SQLITE_OK) return failure(code);
    }
    return fetch(used.get());
}

Result<> SqliteConnection::run(std::string const& sql, Deadline deadline) {
    auto done = query(Statement{{sql}}, {}, deadline);
    if (!done) return std::unexpected(std::move(done).error());
    return {};
}

} // namespace

Result<std::unique_ptr<Connection>> connect_sqlite(ServerSettings const& server, Deadline deadline) {
    sqlite3* opened = nullptr;
    // Read-write where the file's mode allows it, also for readers: only so can SQLite roll back what a
    // crashed writer left, and read a database with a write-ahead log.
    int const code = sqlite3_open_v2(server.database.c_str(), &opened,
                                     SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    DatabaseHandle database(opened);
    if (code != SQLITE_OK)
        return temporary(fmt::format("{}: {}", server.database,
                                     opened != nullptr ? sqlite3_errmsg(opened) : "out of memory"));
    sqlite3_extended_result_codes(opened, 1);
    struct stat status{};
    if (::stat(server.database.c_str(), &status) != 0) return system_error(server.database, errno);
    auto connection = std::make_unique<SqliteConnection>(std::move(database), server.database, status);
    if (server.option("mode") == "rw")
        connection->may_write();
    else if (auto done = connection->run("PRAGMA query_only = 1", deadline); !done)
        return std::unexpected(std::move(done).error());
    return connection;
}

} // namespace postern::sql
