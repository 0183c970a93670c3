// PostgreSQL's driver, for the files that make it; others include database.h.
#pragma once

#include "common/sql/database.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <map>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>

namespace postern::sql::postgres {

struct FinishConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using ConnectionHandle = std::unique_ptr<PGconn, FinishConnection>;
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

std::string one_line(char const* message);
// Waits until the socket is ready for the events; false when the deadline passed.
bool wait_for(int socket, short events, Deadline deadline);
// A connection that is made, or has failed: PQstatus() says which. with_timeout: statement_timeout is passed
// on.
Result<ConnectionHandle> start(ServerSettings const& server, bool with_timeout, Deadline deadline);
// Temporary error: it has failed. Else nothing of libpq blocks or writes to stderr from here on.
Result<> make_usable(PGconn* connection, ServerSettings const& server);

class PostgresConnection final : public Connection {
  public:
    PostgresConnection(ConnectionHandle handle, std::string host)
        : handle_(std::move(handle)), host_(std::move(host)) {}

    Result<Rows> query(Statement const& statement, std::span<std::string const> values,
                       Deadline deadline) override;
    Result<> query_all(std::span<Query const> queries, Answers& answers) override;
    bool healthy() override {
        // Nothing is owed to us between statements: whatever can be read is the server's farewell.
        pollfd waiting{PQsocket(handle_.get()), POLLIN, 0};
        return PQstatus(handle_.get()) == CONNECTION_OK && ::poll(&waiting, 1, 0) == 0;
    }

  private:
    // What is known of a statement that was run before.
    struct Known {
        // Which parameters had to be declared as text; the others take their type from where they stand, as a
        // quoted literal does.
        std::vector<Oid> types;
        std::string name; // of the prepared statement; empty: not prepared
    };
    class Pipeline;
    Known const* prepared(Query const& query) const;
    Result<Known*> known(std::string const& sql, Deadline deadline);
    Result<ResultHandle> run(std::string const& sql, std::span<std::string const> values, Known const& known,
                             Deadline deadline);
    Result<ResultHandle> run_prepared(std::string const& sql, std::span<std::string const> values,
                                      Known& known, Deadline deadline);
    Result<ResultHandle> finish(int sent, Deadline deadline);
    Result<ResultHandle> collect(Deadline deadline);
    Result<> flush(Deadline deadline);
    std::unexpected<Error> broken() const { return temporary(host_ + ": " + message()); }
    std::unexpected<Error> late() const {
        return temporary(host_ + ": no answer to the query before the time limit");
    }
    std::string message() const { return one_line(PQerrorMessage(handle_.get())); }
    Result<Rows> rows_of(PGresult const* result) const;

    ConnectionHandle handle_;
    std::string host_;
    std::map<std::string, Known, std::less<>> known_; // by text
    bool prepares_ = true;                            // false: behind a pooler that loses prepared statements
    // No other connection's statements bear these names, so that behind a pooler a name is unknown, not
    // wrong.
    std::string const names_ =
        fmt::format("postern_{:08x}{:08x}_", std::random_device{}(), std::random_device{}());
    unsigned last_name_ = 0;
};

} // namespace postern::sql::postgres
