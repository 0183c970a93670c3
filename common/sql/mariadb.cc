// MariaDB and MySQL by libmariadb's non-blocking calls and prepared statements.
#include "common/sql/mariadb.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace postern::sql::mariadb {

namespace {

constexpr std::size_t max_prepared = 64;   // statements kept on one connection
constexpr std::size_t usual_column = 1024; // octets; longer values are fetched once more

// libmariadb's own errors are 2000 to 2999 (the connection) and the server's 1000 to 1999 and from 3000.
ErrorKind kind_of(unsigned number) {
    switch (number) {
    case 1040: // too many connections
    case 1041: // out of resources
    case 1042: // bad host
    case 1047: // Galera: not ready for use
    case 1053: // shutdown in progress
    case 1080:
    case 1152: // aborted connection
    case 1158:
    case 1159:
    case 1160:
    case 1161: // packets
    case 1184:
    case 1203: // too many user connections
    case 1205: // lock wait timeout
    case 1213: // deadlock
    case 1226: // user limit reached
    case 1290: // read-only
    case 1317: // interrupted
    case 1927: // killed
    case 1969: // max_statement_time
    case 3024: // MySQL's max_execution_time
        return ErrorKind::temporary;
    default: return number >= 2000 && number < 3000 ? ErrorKind::temporary : ErrorKind::permanent;
    }
}

} // namespace

std::optional<int> wait_for(MYSQL* connection, int wanted, Deadline deadline) {
    auto until = deadline;
    if ((wanted & MYSQL_WAIT_TIMEOUT) != 0)
        until = deadline.or_after(std::chrono::milliseconds(mysql_get_timeout_value_ms(connection)));
    auto const bit = [wanted](int wait, short event) { return (wanted & wait) != 0 ? event : short(0); };
    auto const events = static_cast<short>(bit(MYSQL_WAIT_READ, POLLIN) | bit(MYSQL_WAIT_WRITE, POLLOUT) |
                                           bit(MYSQL_WAIT_EXCEPT, POLLPRI));
    pollfd waiting{mysql_get_socket(connection), events, 0};
    while (true) {
        int const ready = ::poll(&waiting, 1, until.poll_timeout());
        if (ready < 0 && errno == EINTR) continue;
        if (deadline.expired() && ready <= 0) return std::nullopt;
        if (ready <= 0 && until.expired()) return MYSQL_WAIT_TIMEOUT;
        if (ready <= 0) continue;
        bool const failed = (waiting.revents & (POLLERR | POLLHUP | POLLNVAL)) != 0;
        int out = failed ? wanted & (MYSQL_WAIT_READ | MYSQL_WAIT_WRITE) : 0;
        if ((waiting.revents & POLLIN) != 0) out |= MYSQL_WAIT_READ;
        if ((waiting.revents & POLLOUT) != 0) out |= MYSQL_WAIT_WRITE;
        if ((waiting.revents & POLLPRI) != 0) out |= MYSQL_WAIT_EXCEPT;
        return out;
    }
}

std::optional<int> MariadbConnection::wait(int wanted, Deadline deadline) {
    if (impatience_) {
        wake_after(behind_);
        auto const came = wait_for(handle_.get(), wanted, Deadline::earlier(patience_, deadline));
        if (came || deadline.expired()) return came;
        std::exchange(impatience_, {})();
        wake_after(1);
    }
    return wait_for(handle_.get(), wanted, deadline);
}

// With so many octets at the earliest: not once for every answer of several. A Unix socket takes no notice.
void MariadbConnection::wake_after(std::size_t octets) {
    int const count = static_cast<int>(std::max<std::size_t>(octets, 1));
    if (count == std::exchange(wakes_after_, count)) return;
    ::setsockopt(mysql_get_socket(handle_.get()), SOL_SOCKET, SO_RCVLOWAT, &count, sizeof count);
}

std::unexpected<Error> MariadbConnection::failure(MYSQL_STMT* statement) {
    auto const number = mysql_stmt_errno(statement);
    auto const kind = kind_of(number);
    if (kind == ErrorKind::temporary) broken_ = true;
    return std::unexpected(
        Error{kind, fmt::format("{}: {} ({})", host_, mysql_stmt_error(statement), number)});
}

Result<MYSQL_STMT*> MariadbConnection::prepared(std::string const& sql, Deadline deadline) {
    if (auto const known = prepared_.find(sql); known != prepared_.end()) return known->second.get();
    if (prepared_.size() >= max_prepared) prepared_.clear();
    StatementHandle statement(mysql_stmt_init(handle_.get()));
    if (!statement) return temporary("out of memory");
    int failed = 0;
    if (!finishes(
            deadline,
            [&] { return mysql_stmt_prepare_start(&failed, statement.get(), sql.data(), sql.size()); },
            [&](int came) { return mysql_stmt_prepare_cont(&failed, statement.get(), came); }))
        return late();
    if (failed != 0) return failure(statement.get());
    return prepared_.emplace(sql, std::move(statement)).first->second.get();
}

// The values, and what they are bound by, must live until the statement is executed.
Result<> MariadbConnection::bind(MYSQL_STMT* statement, std::span<std::string const> values) {
    if (mysql_stmt_param_count(statement) != values.size())
        return permanent(host_ + ": the statement holds a '?' outside quotes");
    binds_.assign(values.size(), {});
    lengths_.resize(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        lengths_[i] = values[i].size();
        binds_[i].buffer_type = MYSQL_TYPE_STRING;
        binds_[i].buffer = const_cast<char*>(values[i].data());
        binds_[i].buffer_length = lengths_[i];
        binds_[i].length = &lengths_[i];
    }
    if (!values.empty() && mysql_stmt_bind_param(statement, binds_.data()) != 0) return failure(statement);
    return {};
}

Result<> MariadbConnection::execute(MYSQL_STMT* statement, std::span<std::string const> values,
                                    Deadline deadline) {
    if (auto bound = bind(statement, values); !bound) return bound;
    int failed = 0;
    if (!finishes(
            deadline, [&] { return mysql_stmt_execute_start(&failed, statement); },
            [&](int came) { return mysql_stmt_execute_cont(&failed, statement, came); }))
        return late();
    if (failed != 0) return failure(statement);
    return {};
}

// One result set, taken from the server whole.
Result<Rows> MariadbConnection::fetch(MYSQL_STMT* statement, Deadline deadline) {
    ResultHandle const meta(mysql_stmt_result_metadata(statement));
    if (!meta) return Rows{};
    auto const columns = mysql_num_fields(meta.get());
    Rows out;
    std::vector<std::string> buffers(columns, std::string(usual_column, '\0'));
    std::vector<MYSQL_BIND> binds(columns);
    std::vector<unsigned long> lengths(columns);
    std::vector<my_bool> nulls(columns);
    for (unsigned i = 0; i < columns; ++i) {
        out.columns.emplace_back(mysql_fetch_field_direct(meta.get(), i)->name);
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = buffers[i].data();
        binds[i].buffer_length = buffers[i].size();
        binds[i].length = &lengths[i];
        binds[i].is_null = &nulls[i];
    }
    if (mysql_stmt_bind_result(statement, binds.data()) != 0) return failure(statement);
    int failed = 0;
    if (!finishes(
            deadline, [&] { return mysql_stmt_store_result_start(&failed, statement); },
            [&](int came) { return mysql_stmt_store_result_cont(&failed, statement, came); }))
        return late();
    if (failed != 0) return failure(statement);
    if (mysql_stmt_num_rows(statement) > max_rows) return permanent(host_ + ": the answer is too large");
    while ((failed = mysql_stmt_fetch(statement)) == 0 || failed == MYSQL_DATA_TRUNCATED) {
        auto& row = out.rows.emplace_back();
        for (unsigned i = 0; i < columns; ++i) {
            if (nulls[i] != 0) {
                row.emplace_back();
                continue;
            }
            std::string value(buffers[i], 0, std::min<std::size_t>(lengths[i], usual_column));
            if (lengths[i] > usual_column) {
                value.resize(lengths[i]);
                MYSQL_BIND whole = binds[i];
                whole.buffer = value.data();
                whole.buffer_length = value.size();
                if (mysql_stmt_fetch_column(statement, &whole, i, 0) != 0) return failure(statement);
            }
            row.emplace_back(std::move(value));
        }
    }
    if (failed != MYSQL_NO_DATA) return failure(statement);
    return out;
}

// A procedure gives its result sets one after the other and a status last. One set is the answer; two are a
// mistake in the procedure that nobody can read a map's answer from.
Result<Rows> MariadbConnection::all_results(MYSQL_STMT* statement, Deadline deadline) {
    Rows answer;
    int sets = 0;
    while (true) {
        if (mysql_stmt_field_count(statement) > 0) {
            auto rows = fetch(statement, deadline);
            if (!rows) return rows;
            if (++sets == 1) answer = std::move(*rows);
        }
        if (mysql_stmt_more_results(statement) == 0) break;
        int failed = 0;
        if (!finishes(
                deadline, [&] { return mysql_stmt_next_result_start(&failed, statement); },
                [&](int came) { return mysql_stmt_next_result_cont(&failed, statement, came); }))
            return late();
        if (failed > 0) return failure(statement);
        if (failed < 0) break;
    }
    mysql_stmt_free_result(statement);
    if (sets > 1) return permanent(host_ + ": the statement gives more than one result set");
    return answer;
}

Result<Rows> MariadbConnection::query(Statement const& statement, std::span<std::string const> values,
                                      Deadline deadline) {
    if (node_checked_until_ && node_checked_until_->expired())
        if (auto synced = look_at_galera(deadline); !synced)
            return std::unexpected(std::move(synced).error());
    return run(with_placeholders(statement, Driver::mariadb), values, deadline);
}

Result<Rows> MariadbConnection::run(std::string const& sql, std::span<std::string const> values,
                                    Deadline deadline) {
    auto ready = prepared(sql, deadline);
    if (!ready) return std::unexpected(std::move(ready).error());
    auto done = execute(*ready, values, deadline);
    auto rows = done ? all_results(*ready, deadline) : std::unexpected(std::move(done).error());
    if (!rows && !broken_) prepared_.erase(sql); // whatever state it is in, the next query begins afresh
    return rows;
}

} // namespace postern::sql::mariadb
