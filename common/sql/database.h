// What every database driver gives: statements with bound values, rows of text.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::sql {

using Value = std::optional<std::string>; // absent is SQL NULL; numbers come as their text

struct Rows {
    std::vector<std::string> columns;
    std::vector<std::vector<Value>> rows;
};

// SQL text with places for bound values between the fragments: fragments.size() is one more than the number
// of values. Made by Template; values never become text.
struct Statement {
    std::vector<std::string> fragments{""};

    std::size_t parameters() const { return fragments.size() - 1; }
};

enum class Driver { postgresql, mariadb, sqlite };

// One open connection, used by one thread at a time. After a temporary error the pool throws it away.
class Connection {
  public:
    virtual ~Connection() = default;
    // ErrorKind::temporary: the connection or the server failed, the deadline passed, the database is locked.
    // ErrorKind::permanent: the server refused the statement itself (syntax, rights, unknown table).
    virtual Result<Rows> query(Statement const& statement, std::span<std::string const> values,
                               Deadline deadline) = 0;
    // For text that a template has outside quotes.
    virtual std::string escape(std::string_view text) const = 0;
    virtual bool healthy() = 0;
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
    std::vector<std::pair<std::string, std::string>>
        options; // driver's own: sslmode, tls_ca_file, charset ...
};

// Connects within the deadline.
Result<std::unique_ptr<Connection>> connect_postgresql(ServerSettings const& server, Deadline deadline);
Result<std::unique_ptr<Connection>> connect_mariadb(ServerSettings const& server, Deadline deadline);
Result<std::unique_ptr<Connection>> connect_sqlite(ServerSettings const& server, Deadline deadline);
Result<std::unique_ptr<Connection>> connect(ServerSettings const& server, Deadline deadline); // by driver

std::string_view to_string(Driver driver);

} // namespace postern::sql
