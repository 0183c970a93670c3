// MariaDB and MySQL by libmariadb's non-blocking calls and prepared statements.
#include "common/sql/database.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <mariadb/mysql.h>

#include <algorithm>
#include <cerrno>
#include <functional>
#include <map>
#include <memory>
#include <type_traits>
#include <utility>

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

constexpr std::size_t max_prepared = 64;   // statements kept on one connection
constexpr std::size_t usual_column = 1024; // octets; longer values are fetched once more
// What the shortest answer has: a packet that says "OK", or a count of columns and an end.
constexpr std::size_t least_answer = 11;
constexpr std::size_t least_rows = 16;
constexpr std::size_t max_pipelined = 16'384;          // octets that are sent before an answer is read
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

template <class Start, class Continue>
bool MariadbConnection::finishes(Deadline deadline, Start start, Continue proceed) {
    return run_to_end(handle_.get(), start, proceed, [&](int wanted) { return wait(wanted, deadline); });
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

// ---- Several at once ------------------------------------------------------------------------------------

// Statements written in one go, so that the server finds the next one when it has answered one, and neither
// side sleeps between. The library knows nothing of that: it executes each statement twice, once to hand its
// bytes to us instead of the socket, and once, when all are sent, to read what the server said to it.
class MariadbConnection::Pipeline {
  public:
    Pipeline(MariadbConnection& connection, std::span<Query const> queries, Answers& answers)
        : connection_(connection), handle_(connection.handle_.get()), queries_(queries), answers_(answers) {
        way_.table = *handle_->methods;
        way_.table.db_command = &command;
        way_.library = handle_->methods;
        handle_->methods = &way_.table;
    }
    ~Pipeline() { end(); }
    Result<> run();
    // Gives the library its own way back, and says which statements are to be prepared anew.
    std::vector<MYSQL_STMT*> end() {
        handle_->methods = way_.library;
        return std::move(failed_);
    }

  private:
    struct Way { // how the library sends a command, in the place of its own; begins with the table
        st_mariadb_methods table;
        st_mariadb_methods const* library = nullptr;
        std::string bytes;    // of the commands
        bool is_sent = false; // they have gone to the server
    };
    struct Sent {
        std::size_t which;
        MYSQL_STMT* statement;
    };
    static int command(MYSQL* handle, enum_server_command what, char const* argument, std::size_t length,
                       my_bool, void*);
    void collect();
    Result<> send();
    Result<> receive(Sent const& sent);
    void lose_patience();

    MariadbConnection& connection_;
    MYSQL* handle_;
    std::span<Query const> queries_;
    Answers& answers_;
    Way way_;
    std::vector<Sent> sent_;
    std::size_t done_ = 0;   // of sent_
    std::size_t wanted_ = 0; // of sent_; others ask what comes behind these
    std::size_t least_answer_ = least_rows;
    std::vector<MYSQL_STMT*> failed_;
};

int MariadbConnection::Pipeline::command(MYSQL* handle, enum_server_command what, char const* argument,
                                         std::size_t length, my_bool, void*) {
    static_assert(std::is_standard_layout_v<st_mariadb_methods>);
    auto& way = *reinterpret_cast<Way*>(const_cast<st_mariadb_methods*>(handle->methods));
    if (way.is_sent) {
        handle->net.pkt_nr = 1; // the reply counts on from the command
        return 0;
    }
    // A packet: its length in three octets, its number, and what is in it.
    auto const size = length + 1;
    for (int shift = 0; shift < 24; shift += 8) way.bytes += static_cast<char>((size >> shift) & 0xff);
    way.bytes += '\0';
    way.bytes += static_cast<char>(what);
    way.bytes.append(argument, length);
    return 1; // the library reads no reply
}

void MariadbConnection::Pipeline::collect() {
    for (std::size_t i = 0; i < queries_.size() && way_.bytes.size() < max_pipelined; ++i) {
        auto const known =
            connection_.prepared_.find(with_placeholders(*queries_[i].statement, Driver::mariadb));
        if (known == connection_.prepared_.end()) continue;
        std::size_t octets = 0;
        for (auto const& value : queries_[i].values) octets += value.size();
        if (octets > max_pipelined || !connection_.bind(known->second.get(), queries_[i].values)) continue;
        auto const before = way_.bytes.size();
        mysql_stmt_execute(known->second.get());
        if (way_.bytes.size() > before) sent_.push_back({i, known->second.get()});
        if (mysql_stmt_field_count(known->second.get()) == 0) least_answer_ = least_answer;
    }
    way_.is_sent = true;
}

Result<> MariadbConnection::Pipeline::send() {
    std::string_view rest = way_.bytes;
    while (!rest.empty()) {
        auto const size =
            ::send(mysql_get_socket(handle_), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size > 0) rest.remove_prefix(static_cast<std::size_t>(size));
        if (size > 0 || errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error(connection_.host_, errno);
        if (!wait_for(handle_, MYSQL_WAIT_WRITE, connection_.patience_))
            return temporary(connection_.host_ + ": takes no statements");
    }
    return {};
}

// The answer to one statement. An error that the server sends in its place ends this statement alone; after
// one that comes later, nobody but the library knows where the next answer begins, and the connection is
// given up: an answer to another question would be worse than none.
Result<> MariadbConnection::Pipeline::receive(Sent const& sent) {
    auto const& [text, values, deadline] = queries_[sent.which];
    bool const wanted = done_ < wanted_;
    connection_.behind_ = (sent_.size() - done_ - 1) * least_answer_;
    // Values that others ask for may be gone, and these are not sent anywhere.
    std::vector<std::string> const others(wanted ? 0 : values.size());
    auto done = connection_.execute(sent.statement, wanted ? values : others, deadline);
    bool const begun = done.has_value();
    auto rows = begun ? connection_.all_results(sent.statement, deadline)
                      : Result<Rows>(std::unexpected(std::move(done).error()));
    if (!rows) failed_.push_back(sent.statement);
    if (!rows && connection_.broken_) return std::unexpected(std::move(rows).error());
    connection_.broken_ = begun && !rows;
    Result<> const next = connection_.broken_ ? permanent(rows.error().text) : Result<>();
    if (wanted) answers_.answer(sent.which, std::move(rows));
    ++done_;
    return next;
}

void MariadbConnection::Pipeline::lose_patience() {
    std::vector<std::size_t> rest;
    for (auto i = done_ + 1; i < sent_.size(); ++i) rest.push_back(sent_[i].which);
    wanted_ = done_ + 1;
    if (!rest.empty()) answers_.take_back(std::move(rest));
}

Result<> MariadbConnection::Pipeline::run() {
    collect();
    wanted_ = sent_.size();
    connection_.patience_ = Deadline::after(batch_patience);
    connection_.impatience_ = [this] { lose_patience(); };
    if (auto done = send(); !done) return done;
    for (auto const& each : sent_)
        if (auto done = receive(each); !done) return done;
    return {};
}

Result<> MariadbConnection::query_all(std::span<Query const> queries, Answers& answers) {
    auto const deadline = queries.front().deadline;
    if (node_checked_until_ && node_checked_until_->expired())
        if (auto synced = look_at_galera(deadline); !synced)
            return std::unexpected(std::move(synced).error());
    bool const plain = mysql_get_ssl_cipher(handle_.get()) == nullptr && handle_->net.compress == 0;
    if (!plain || queries.size() < 2) {
        patience_ = Deadline::after(batch_patience);
        return one_by_one(queries, answers, [this](Query const& each, std::function<void()> overdue) {
            impatience_ = std::move(overdue);
            auto rows = run(with_placeholders(*each.statement, Driver::mariadb), each.values, each.deadline);
            impatience_ = {};
            return rows;
        });
    }
    for (auto const& query : queries) {
        auto const ready = prepared(with_placeholders(*query.statement, Driver::mariadb), deadline);
        if (!ready && broken_) return std::unexpected(ready.error());
    }
    Pipeline pipeline(*this, queries, answers);
    auto done = pipeline.run();
    impatience_ = {};
    behind_ = 0;
    wake_after(1);
    auto const failed = pipeline.end();
    std::erase_if(prepared_, [&](auto const& known) {
        return !broken_ && std::ranges::find(failed, known.second.get()) != failed.end();
    });
    return done;
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
    if (!run_to_end(
            handle.get(),
            [&] {
                return mysql_real_connect_start(&connected, handle.get(), host, user, password, database,
                                                server.port, path, CLIENT_MULTI_RESULTS);
            },
            [&](int came) { return mysql_real_connect_cont(&connected, handle.get(), came); },
            [&](int wanted) { return wait_for(handle.get(), wanted, deadline); }))
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
