// What every database driver gives: statements with bound values, rows of text.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::sql {

using Value = std::optional<std::string>; // absent is SQL NULL; numbers come as their text

struct Rows {
    std::vector<std::string> columns;
    std::vector<std::vector<Value>> rows;
    std::string server = {}; // which one answered, when a pool asked
};

// SQL text with places for bound values between the fragments: fragments.size() is one more than the number
// of values. Made by Template; values never become text.
struct Statement {
    std::vector<std::string> fragments{""};

    std::size_t parameters() const { return fragments.size() - 1; }
};

struct Query {
    Statement const* statement;
    std::span<std::string const> values;
    Deadline deadline;
};

// Where the answers to several queries go, by their place in the list; each is answered once.
class Answers {
  public:
    virtual ~Answers() = default;
    virtual void answer(std::size_t which, Result<Rows> rows) = 0;
    // These are held up by one that takes long, and somebody else is to ask them, each for itself. They may
    // run twice. Their values need not live any longer.
    virtual void take_back(std::vector<std::size_t> which) = 0;
};

// After so long without an answer, what was asked together is asked singly.
inline constexpr std::chrono::milliseconds batch_patience{20};

enum class Driver { postgresql, mariadb, sqlite };

// One open connection, used by one thread at a time. After a temporary error the pool throws it away.
class Connection {
  public:
    virtual ~Connection() = default;
    // ErrorKind::temporary: the connection or the server failed, the deadline passed, the database is locked.
    // ErrorKind::permanent: the server refused the statement itself (syntax, rights, unknown table).
    // A statement that gives no result set (a procedure without SELECT) gives no columns.
    virtual Result<Rows> query(Statement const& statement, std::span<std::string const> values,
                               Deadline deadline) = 0;
    // Several at once, for less than each of them would cost alone. What has no answer afterwards is to be
    // asked singly. Success: the connection goes on. ErrorKind::temporary: it failed, or its server did.
    // ErrorKind::permanent: the server is well, but this connection cannot go on.
    virtual Result<> query_all(std::span<Query const> queries, Answers& answers);
    // False when the server has closed an idle connection, or the database file was replaced. Never waits.
    virtual bool healthy() = 0;

  protected:
    // For drivers that ask one after the other: overdue is to be called when the answer takes longer than
    // batch_patience, and lets others ask what comes behind.
    using AskOne = std::function<Result<Rows>(Query const& query, std::function<void()> overdue)>;
    static Result<> one_by_one(std::span<Query const> queries, Answers& answers, AskOne const& ask);
};

// Where and how to connect; made from a .cf file's or dovecot-sql.conf.ext's settings.
struct ServerSettings {
    Driver driver = Driver::sqlite;
    std::string host; // a name, an address, or a directory/socket beginning with '/'; postgresql:// URI for
                      // PostgreSQL
    std::uint16_t port = 0;
    std::string user;
    std::string password;
    std::string database; // sqlite: the file
    // The driver's own.
    // All: statement_timeout (milliseconds; the server itself gives up a statement then).
    // PostgreSQL: every libpq keyword (sslmode, client_encoding, target_session_attrs ...).
    // MariaDB: charset, option_file, option_group, tls_cert_file, tls_key_file, tls_CAfile, tls_CApath,
    // tls_ciphers, tls_verify_cert.
    // SQLite: mode = "ro" (default: statements that write are refused) or "rw".
    std::vector<std::pair<std::string, std::string>> options;

    std::string option(std::string_view name) const; // the last one given; empty when absent
    std::string to_string() const;                   // for the log, without the password
    // What has to be looked up before a connection: names only, of a URI too.
    std::vector<std::string> host_names() const;
    bool operator==(ServerSettings const&) const = default;
};

// For text that a template has outside quotes, as Postfix escapes it: safe inside a quoted string only.
std::string escape(Driver driver, std::string_view text);

// The statement's text with the driver's placeholders: " $1 " or " ? ".
std::string with_placeholders(Statement const& statement, Driver driver);

// What one answer may hold, so that a query without WHERE cannot eat the memory.
inline constexpr std::size_t max_rows = 100'000;             // of one answer; more is a permanent error
inline constexpr std::size_t max_result_octets = 16'000'000; // of one answer; more is a permanent error

// Asks for the address of each host name. A temporary error at the deadline, or when the only one has none.
Result<> is_resolved(ServerSettings const& server, Deadline deadline);

// Connects within the deadline.
Result<std::unique_ptr<Connection>> connect_postgresql(ServerSettings const& server, Deadline deadline);
Result<std::unique_ptr<Connection>> connect_mariadb(ServerSettings const& server, Deadline deadline);
Result<std::unique_ptr<Connection>> connect_sqlite(ServerSettings const& server, Deadline deadline);
Result<std::unique_ptr<Connection>> connect(ServerSettings const& server, Deadline deadline); // by driver

std::string_view to_string(Driver driver);

} // namespace postern::sql
