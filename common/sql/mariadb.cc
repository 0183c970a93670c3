// MariaDB and MySQL by libmariadb's non-blocking calls and prepared statements.
#include "common/sql/database.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <mariadb/mysql.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <memory>

#include <poll.h>
#include <sys/socket.h>

namespace postern::sql {

namespace {

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

constexpr std::size_t max_prepared = 64;               // statements kept on one connection
constexpr std::size_t usual_column = 1024;             // octets; longer values are fetched once more
constexpr auto look_at_node = std::chrono::seconds(2); // how long a Galera node is taken to be synced still

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

// Waits for what the library asked for; the events that came, or nothing when the deadline passed.
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

// Runs one of the library's start/continue pairs; false when the deadline passed before it ended. The
// connection is of no use after that.
template <class Start, class Continue>
bool finishes(MYSQL* connection, Deadline deadline, Start start, Continue proceed) {
    int wanted = start();
    while (wanted != 0) {
        auto const came = wait_for(connection, wanted, deadline);
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
    bool healthy() override {
        pollfd waiting{mysql_get_socket(handle_.get()), POLLIN, 0};
        return !broken_ && ::poll(&waiting, 1, 0) == 0;
    }
    Result<> prepare_session(ServerSettings const& server, Deadline deadline);

  private:
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
    bool broken_ = false;
    std::optional<Deadline> node_checked_until_; // of a Galera node only
};

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
            handle_.get(), deadline,
            [&] { return mysql_stmt_prepare_start(&failed, statement.get(), sql.data(), sql.size()); },
            [&](int came) { return mysql_stmt_prepare_cont(&failed, statement.get(), came); }))
        return late();
    if (failed != 0) return failure(statement.get());
    return prepared_.emplace(sql, std::move(statement)).first->second.get();
}

Result<> MariadbConnection::execute(MYSQL_STMT* statement, std::span<std::string const> values,
                                    Deadline deadline) {
    if (mysql_stmt_param_count(statement) != values.size())
        return permanent(host_ + ": the statement holds a '?' outside quotes");
    std::vector<MYSQL_BIND> binds(values.size());
    std::vector<unsigned long> lengths(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
        lengths[i] = values[i].size();
        binds[i].buffer_type = MYSQL_TYPE_STRING;
        binds[i].buffer = const_cast<char*>(values[i].data());
        binds[i].buffer_length = lengths[i];
        binds[i].length = &lengths[i];
    }
    if (!binds.empty() && mysql_stmt_bind_param(statement, binds.data()) != 0) return failure(statement);
    int failed = 0;
    if (!finishes(
            handle_.get(), deadline, [&] { return mysql_stmt_execute_start(&failed, statement); },
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
            handle_.get(), deadline, [&] { return mysql_stmt_store_result_start(&failed, statement); },
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
                handle_.get(), deadline, [&] { return mysql_stmt_next_result_start(&failed, statement); },
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

// A node that joins, gives its state to another or was put aside (wsrep_desync) may answer with what is no
// longer true. A server that is no member of a cluster says so with a size of 0 or nothing.
Result<> MariadbConnection::look_at_galera(Deadline deadline) {
    auto const status = run("SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_size', "
                            "'wsrep_local_state')",
                            {}, deadline);
    if (!status) return std::unexpected(status.error());
    std::map<std::string, std::string> known;
    for (auto const& row : status->rows)
        if (row.size() == 2) known[row[0].value_or("")] = row[1].value_or("");
    if (parse_number<unsigned>(known["wsrep_cluster_size"]).value_or(0) == 0) return {};
    node_checked_until_ = Deadline::after(look_at_node);
    if (known["wsrep_local_state"] == "4") return {};
    broken_ = true;
    return temporary(fmt::format("{}: Galera node is not synced (wsrep_local_state {})", host_,
                                 known["wsrep_local_state"]));
}

// The time limit for the server itself, and a look whether a Galera node may be asked at all.
Result<> MariadbConnection::prepare_session(ServerSettings const& server, Deadline deadline) {
    if (mariadb_connection(handle_.get()) == 0) return {}; // MySQL has neither
    auto const limit = parse_number<std::uint32_t>(server.option("statement_timeout"));
    if (limit && *limit > 0) {
        auto const set = fmt::format("SET SESSION max_statement_time = {}", *limit / 1000.0);
        if (auto done = run(set, {}, deadline); !done) return std::unexpected(std::move(done).error());
        prepared_.clear();
    }
    return look_at_galera(deadline);
}

void apply_options(MYSQL* handle, ServerSettings const& server, Deadline deadline) {
    auto const text = [&](std::string_view name, mysql_option option) {
        if (auto const value = server.option(name); !value.empty())
            mysql_options(handle, option, value.c_str());
    };
    mysql_options(handle, MYSQL_OPT_NONBLOCK, nullptr);
    auto const seconds = std::max<std::int64_t>(1, deadline.remaining().count() / 1000);
    auto const limit = static_cast<unsigned>(std::min<std::int64_t>(seconds, 3600));
    mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &limit);
    my_bool const no = 0;
    mysql_options(handle, MYSQL_OPT_RECONNECT, &no);
    unsigned const no_local_files = 0; // a hostile server must not ask for our files
    mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &no_local_files);
    auto const charset = server.option("charset");
    mysql_options(handle, MYSQL_SET_CHARSET_NAME, charset.empty() ? "utf8mb4" : charset.c_str());
    text("option_file", MYSQL_READ_DEFAULT_FILE);
    text("option_group", MYSQL_READ_DEFAULT_GROUP);
    text("tls_key_file", MYSQL_OPT_SSL_KEY);
    text("tls_cert_file", MYSQL_OPT_SSL_CERT);
    text("tls_CAfile", MYSQL_OPT_SSL_CA);
    text("tls_CApath", MYSQL_OPT_SSL_CAPATH);
    text("tls_ciphers", MYSQL_OPT_SSL_CIPHER);
    if (server.option("tls_verify_cert") == "yes") {
        my_bool const yes = 1;
        mysql_options(handle, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
    }
}

} // namespace

Result<std::unique_ptr<Connection>> connect_mariadb(ServerSettings const& server, Deadline deadline) {
    ConnectionHandle handle(mysql_init(nullptr));
    if (!handle) return temporary("out of memory");
    apply_options(handle.get(), server, deadline);
    bool const socket = server.host.starts_with('/');
    // An empty name and "localhost" both mean the library's own socket.
    auto const* host = socket || server.host.empty() ? nullptr : server.host.c_str();
    auto const* path = socket ? server.host.c_str() : nullptr;
    auto const* user = server.user.empty() ? nullptr : server.user.c_str();
    auto const* password = server.password.empty() ? nullptr : server.password.c_str();
    auto const* database = server.database.empty() ? nullptr : server.database.c_str();
    MYSQL* connected = nullptr;
    if (!finishes(
            handle.get(), deadline,
            [&] {
                return mysql_real_connect_start(&connected, handle.get(), host, user, password, database,
                                                server.port, path, CLIENT_MULTI_RESULTS);
            },
            [&](int came) { return mysql_real_connect_cont(&connected, handle.get(), came); }))
        return temporary(server.to_string() + ": no connection before the time limit");
    if (connected == nullptr)
        return temporary(fmt::format("{}: {} ({})", server.to_string(), mysql_error(handle.get()),
                                     mysql_errno(handle.get())));
    auto connection = std::make_unique<MariadbConnection>(std::move(handle), server.to_string());
    if (auto ready = connection->prepare_session(server, deadline); !ready)
        return std::unexpected(std::move(ready).error());
    return connection;
}

} // namespace postern::sql
