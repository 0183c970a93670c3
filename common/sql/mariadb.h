// MariaDB's driver, for the files that make it; others include database.h.
#pragma once

#include "common/sql/database.h"

#include <mariadb/mysql.h>

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/socket.h>

namespace postern::sql::mariadb {

struct CloseConnection {
    void operator()(MYSQL* connection) const { mysql_close(connection); }
};
struct CloseStatement {
    void operator()(MYSQL_STMT* statement) const { mysql_stmt_close(statement); }
};
struct FreeResult {
    void operator()(MYSQL_RES* result) const { mysql_free_result(result); }
};
using ConnectionHandle = std::unique_ptr<MYSQL, CloseConnection>;
using StatementHandle = std::unique_ptr<MYSQL_STMT, CloseStatement>;
using ResultHandle = std::unique_ptr<MYSQL_RES, FreeResult>;

// Waits for what the library asked for; the events that came, or nothing when the deadline passed.
std::optional<int> wait_for(MYSQL* connection, int wanted, Deadline deadline);

// Runs one of the library's start/continue pairs; false when the time was up before it ended. The connection
// is of no use after that.
template <class Start, class Continue, class Wait>
bool run_to_end(MYSQL* connection, Start start, Continue proceed, Wait wait) {
    int wanted = start();
    while (wanted != 0) {
        auto const came = wait(wanted);
        if (!came) {
            // Closing says goodbye to the server; without a socket to say it on, it cannot block.
            ::shutdown(mysql_get_socket(connection), SHUT_RDWR);
            return false;
        }
        wanted = proceed(*came);
    }
    return true;
}

class MariadbConnection final : public Connection {
  public:
    MariadbConnection(ConnectionHandle handle, std::string host)
        : handle_(std::move(handle)), host_(std::move(host)) {}

    Result<Rows> query(Statement const& statement, std::span<std::string const> values,
                       Deadline deadline) override;
    Result<> query_all(std::span<Query const> queries, Answers& answers) override;
    bool healthy() override {
        pollfd waiting{mysql_get_socket(handle_.get()), POLLIN, 0};
        return !broken_ && ::poll(&waiting, 1, 0) == 0;
    }
    Result<> prepare_session(ServerSettings const& server, Deadline deadline);

  private:
    class Pipeline;
    template <class Start, class Continue>
    bool finishes(Deadline deadline, Start start, Continue proceed);
    std::optional<int> wait(int wanted, Deadline deadline);
    void wake_after(std::size_t octets);
    Result<> bind(MYSQL_STMT* statement, std::span<std::string const> values);
    Result<Rows> run(std::string const& sql, std::span<std::string const> values, Deadline deadline);
    Result<> look_at_galera(Deadline deadline);
    Result<MYSQL_STMT*> prepared(std::string const& sql, Deadline deadline);
    Result<> execute(MYSQL_STMT* statement, std::span<std::string const> values, Deadline deadline);
    Result<Rows> all_results(MYSQL_STMT* statement, Deadline deadline);
    Result<Rows> fetch(MYSQL_STMT* statement, Deadline deadline);
    std::unexpected<Error> failure(MYSQL_STMT* statement);
    std::unexpected<Error> late() {
        broken_ = true;
        return temporary(host_ + ": no answer to the query before the time limit");
    }

    ConnectionHandle handle_;
    std::string host_;
    std::map<std::string, StatementHandle, std::less<>> prepared_; // by text; goes before handle_
    std::vector<MYSQL_BIND> binds_;                                // of the values that were bound last
    std::vector<unsigned long> lengths_;
    bool broken_ = false;
    Deadline patience_ = Deadline::never();
    std::function<void()> impatience_;           // what to do then, once
    std::size_t behind_ = 0;                     // octets that come for certain after the answer that is read
    int wakes_after_ = 1;                        // octets
    std::optional<Deadline> node_checked_until_; // of a Galera node only
};

template <class Start, class Continue>
bool MariadbConnection::finishes(Deadline deadline, Start start, Continue proceed) {
    return run_to_end(handle_.get(), start, proceed, [&](int wanted) { return wait(wanted, deadline); });
}

} // namespace postern::sql::mariadb
