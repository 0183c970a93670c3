// PostgreSQL by libpq's asynchronous calls, so that every wait ends at its deadline.
#include "common/sql/database.h"
#include "common/sql/notifications.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <array>
#include <cerrno>
#include <map>
#include <memory>
#include <random>
#include <utility>

#include <poll.h>

namespace postern::sql {

namespace {

struct FinishConnection {
    void operator()(PGconn* connection) const { PQfinish(connection); }
};
struct ClearResult {
    void operator()(PGresult* result) const { PQclear(result); }
};
using ConnectionHandle = std::unique_ptr<PGconn, FinishConnection>;
using ResultHandle = std::unique_ptr<PGresult, ClearResult>;

constexpr Oid text_type = 25; // pg_type: text
// SQLSTATE, errcodes.txt
constexpr std::string_view no_such_statement = "26000"; // invalid_sql_statement_name
constexpr std::string_view plan_is_old = "0A000";       // "cached plan must not change result type"
constexpr auto listener_pause =
    std::chrono::milliseconds(60'000);                      // of silence, then it is asked whether it lives
constexpr auto listener_patience = std::chrono::seconds(5); // for that
constexpr std::size_t max_known = 256;                      // statements that one connection remembers

std::string one_line(char const* message) {
    return std::string(trim(replace_all(message == nullptr ? "" : message, "\n", " ")));
}

// Waits until the socket is ready for the events; false when the deadline passed.
bool wait_for(int socket, short events, Deadline deadline) {
    pollfd waiting{socket, events, 0};
    while (true) {
        int const ready = ::poll(&waiting, 1, deadline.poll_timeout());
        if (ready > 0) return true;
        if (ready < 0 && errno == EINTR) continue;
        if (ready == 0 && !deadline.expired()) continue;
        return false;
    }
}

// By SQLSTATE class. What the server's state causes is temporary; what the statement or the rights cause is
// not: 08 connection, 25 transaction state (a standby), 40 rolled back, 53 resources, 55 locks, 57 operator,
// 58 system, XX internal.
ErrorKind kind_of(std::string_view state) {
    for (std::string_view const temporary_class : {"08", "25", "40", "53", "55", "57", "58", "XX"})
        if (state.starts_with(temporary_class)) return ErrorKind::temporary;
    return state.empty() ? ErrorKind::temporary : ErrorKind::permanent;
}

// Statement types by number: "could not determine data type of parameter $2" in any language.
std::optional<std::size_t> undetermined_parameter(PGresult const* result) {
    auto const* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    auto const* message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    if (state == nullptr || message == nullptr || std::string_view(state) != "42P18") return std::nullopt;
    auto const after = halve(message, '$').after.value_or("");
    auto const digits = after.substr(0, after.find_first_not_of("0123456789"));
    return parse_number<std::size_t>(digits);
}

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

Result<> PostgresConnection::flush(Deadline deadline) {
    while (true) {
        int const left = PQflush(handle_.get());
        if (left == 0) return {};
        if (left < 0) return broken();
        if (!wait_for(PQsocket(handle_.get()), POLLIN | POLLOUT, deadline)) return late();
        if (PQconsumeInput(handle_.get()) == 0) return broken();
    }
}

// The last result of the statement; the one of an error wins.
Result<ResultHandle> PostgresConnection::collect(Deadline deadline) {
    ResultHandle last;
    while (true) {
        while (PQisBusy(handle_.get()) != 0) {
            if (!wait_for(PQsocket(handle_.get()), POLLIN, deadline)) return late();
            if (PQconsumeInput(handle_.get()) == 0) return broken();
        }
        ResultHandle result(PQgetResult(handle_.get()));
        if (!result) break;
        if (!last || PQresultStatus(last.get()) != PGRES_FATAL_ERROR) last = std::move(result);
    }
    if (!last || PQstatus(handle_.get()) != CONNECTION_OK) return broken();
    return last;
}

Result<ResultHandle> PostgresConnection::finish(int sent, Deadline deadline) {
    if (sent == 0) return broken();
    if (auto done = flush(deadline); !done) return std::unexpected(std::move(done).error());
    return collect(deadline);
}

Result<ResultHandle> PostgresConnection::run(std::string const& sql, std::span<std::string const> values,
                                             Known const& known, Deadline deadline) {
    std::vector<char const*> pointers;
    for (auto const& value : values) pointers.push_back(value.c_str());
    auto const count = static_cast<int>(values.size());
    auto* const handle = handle_.get();
    return finish(known.name.empty() ? PQsendQueryParams(handle, sql.c_str(), count, known.types.data(),
                                                         pointers.data(), nullptr, nullptr, 0)
                                     : PQsendQueryPrepared(handle, known.name.c_str(), count, pointers.data(),
                                                           nullptr, nullptr, 0),
                  deadline);
}

// Parsed and planned once. A pooler such as pgbouncer may have changed the server under us, and a table may
// have changed under the plan: then the statement is run as it stands.
Result<ResultHandle> PostgresConnection::run_prepared(std::string const& sql,
                                                      std::span<std::string const> values, Known& known,
                                                      Deadline deadline) {
    if (known.name.empty()) {
        auto name = names_ + std::to_string(++last_name_);
        auto made = finish(PQsendPrepare(handle_.get(), name.c_str(), sql.c_str(),
                                         static_cast<int>(known.types.size()), known.types.data()),
                           deadline);
        if (!made || PQresultStatus(made->get()) != PGRES_COMMAND_OK) return made;
        known.name = std::move(name);
    }
    auto result = run(sql, values, known, deadline);
    if (!result) return result;
    auto const* state = PQresultErrorField(result->get(), PG_DIAG_SQLSTATE);
    bool const lost = state != nullptr && std::string_view(state) == no_such_statement;
    if (!lost && (state == nullptr || std::string_view(state) != plan_is_old)) return result;
    if (lost) prepares_ = false;
    auto const old = std::exchange(known.name, {});
    if (!lost)
        if (auto gone = finish(PQsendQuery(handle_.get(), ("DEALLOCATE " + old).c_str()), deadline); !gone)
            return gone;
    return run(sql, values, known, deadline);
}

// The entry for a statement; nullptr when it is new.
Result<PostgresConnection::Known*> PostgresConnection::known(std::string const& sql, Deadline deadline) {
    if (auto const entry = known_.find(sql); entry != known_.end()) return &entry->second;
    if (known_.size() < max_known) return nullptr;
    known_.clear();
    auto const forgotten = finish(PQsendQuery(handle_.get(), "DEALLOCATE ALL"), deadline);
    if (!forgotten) return std::unexpected(forgotten.error());
    return nullptr;
}

Result<Rows> PostgresConnection::rows_of(PGresult const* result) const {
    auto const status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_EMPTY_QUERY) return Rows{};
    if (status != PGRES_TUPLES_OK) {
        auto const* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
        return std::unexpected(Error{kind_of(state == nullptr ? "" : state),
                                     host_ + ": " + one_line(PQresultErrorMessage(result))});
    }
    Rows out;
    int const columns = PQnfields(result);
    int const count = PQntuples(result);
    for (int i = 0; i < columns; ++i) out.columns.emplace_back(PQfname(result, i));
    if (static_cast<std::size_t>(count) > max_rows) return permanent(host_ + ": the answer is too large");
    for (int r = 0; r < count; ++r) {
        auto& row = out.rows.emplace_back();
        for (int c = 0; c < columns; ++c) {
            auto const size = static_cast<std::size_t>(PQgetlength(result, r, c));
            bool const null = PQgetisnull(result, r, c) != 0;
            row.push_back(null ? Value() : Value(std::string(PQgetvalue(result, r, c), size)));
        }
    }
    return out;
}

Result<Rows> PostgresConnection::query(Statement const& statement, std::span<std::string const> values,
                                       Deadline deadline) {
    for (auto const& value : values)
        if (value.contains('\0')) return permanent(host_ + ": a value holds a NUL octet");
    auto const sql = with_placeholders(statement, Driver::postgresql);
    auto const entry = known(sql, deadline);
    if (!entry) return std::unexpected(entry.error());
    // What comes a second time is prepared; a variable outside quotes makes statements that come only once.
    if (*entry != nullptr && prepares_) {
        auto const result = run_prepared(sql, values, **entry, deadline);
        return result ? rows_of(result->get()) : std::unexpected(result.error());
    }
    Known fresh{std::vector<Oid>(values.size(), 0), {}};
    auto& now = *entry != nullptr ? **entry : fresh;
    now.name.clear();
    // concat('%u', ...) and the like take a literal as text, but ask for a parameter's type.
    for (std::size_t tries = 0; tries <= values.size(); ++tries) {
        auto const result = run(sql, values, now, deadline);
        if (!result) return std::unexpected(result.error());
        auto const parameter = undetermined_parameter(result->get());
        if (!parameter || *parameter == 0 || *parameter > now.types.size()) {
            auto rows = rows_of(result->get());
            if (rows) known_.insert_or_assign(sql, now);
            return rows;
        }
        now.types[*parameter - 1] = text_type;
    }
    return permanent(host_ + ": the types of the parameters cannot be found out");
}

// ---- Several at once ------------------------------------------------------------------------------------

// Only what was prepared before, so that nothing has to be found out on the way.
PostgresConnection::Known const* PostgresConnection::prepared(Query const& query) const {
    if (!prepares_) return nullptr;
    for (auto const& value : query.values)
        if (value.contains('\0')) return nullptr;
    auto const entry = known_.find(with_placeholders(*query.statement, Driver::postgresql));
    return entry != known_.end() && !entry->second.name.empty() ? &entry->second : nullptr;
}

// Statements written in one go and read in one go (libpq's pipeline mode), so that both sides wake once. They
// are one transaction: after a statement that fails the server passes over the rest, and all of these are
// asked singly.
class PostgresConnection::Pipeline {
  public:
    Pipeline(PostgresConnection& connection, std::span<Query const> queries, Answers& answers)
        : connection_(connection), handle_(connection.handle_.get()), queries_(queries), answers_(answers) {}
    void add(std::size_t which, Known const& known);
    std::size_t size() const { return sent_.size(); }
    Result<> run();

  private:
    struct Sent {
        std::size_t which;
        std::string const* name;
    };
    bool send(Sent const& sent);
    Result<> wait(short events);
    void lose_patience();
    Result<ResultHandle> next();
    Result<> collect();

    PostgresConnection& connection_;
    PGconn* handle_;
    std::span<Query const> queries_;
    Answers& answers_;
    std::vector<Sent> sent_;
    std::vector<char const*> pointers_;
    std::size_t done_ = 0; // of sent_
    bool patient_ = true;  // false: somebody else asks the rest, and what still comes is dropped
    Deadline patience_ = Deadline::never();
    Deadline last_ = Deadline::never();
};

void PostgresConnection::Pipeline::add(std::size_t which, Known const& known) {
    auto const& deadline = queries_[which].deadline;
    last_ = sent_.empty() || last_.point() < deadline.point() ? deadline : last_;
    sent_.push_back({which, &known.name});
}

bool PostgresConnection::Pipeline::send(Sent const& sent) {
    auto const& values = queries_[sent.which].values;
    pointers_.clear();
    for (auto const& value : values) pointers_.push_back(value.c_str());
    return PQsendQueryPrepared(handle_, sent.name->c_str(), static_cast<int>(values.size()), pointers_.data(),
                               nullptr, nullptr, 0) != 0;
}

Result<> PostgresConnection::Pipeline::run() {
    patience_ = Deadline::after(batch_patience);
    if (PQenterPipelineMode(handle_) == 0) return connection_.broken();
    for (auto const& each : sent_)
        if (!send(each)) return connection_.broken();
    if (PQpipelineSync(handle_) == 0) return connection_.broken();
    for (int left = 1; (left = PQflush(handle_)) != 0;) {
        if (left < 0) return connection_.broken();
        if (auto ready = wait(POLLIN | POLLOUT); !ready) return ready;
    }
    if (auto done = collect(); !done) return done;
    if (PQexitPipelineMode(handle_) == 0) return connection_.broken();
    return {};
}

Result<> PostgresConnection::Pipeline::wait(short events) {
    auto const& until = patient_ ? Deadline::earlier(patience_, last_) : last_;
    if (!wait_for(PQsocket(handle_), events, until)) {
        if (!patient_ || last_.expired()) return connection_.late();
        lose_patience();
        return {};
    }
    if (PQconsumeInput(handle_) == 0) return connection_.broken();
    return {};
}

void PostgresConnection::Pipeline::lose_patience() {
    patient_ = false;
    std::vector<std::size_t> rest;
    for (auto i = done_; i < sent_.size(); ++i) rest.push_back(sent_[i].which);
    answers_.take_back(std::move(rest));
}

Result<ResultHandle> PostgresConnection::Pipeline::next() {
    while (PQisBusy(handle_) != 0)
        if (auto ready = wait(POLLIN); !ready) return std::unexpected(std::move(ready).error());
    return ResultHandle(PQgetResult(handle_));
}

Result<> PostgresConnection::Pipeline::collect() {
    while (true) {
        auto result = next();
        if (!result) return std::unexpected(std::move(result).error());
        auto const status = *result ? PQresultStatus(result->get()) : PGRES_EMPTY_QUERY;
        if (status == PGRES_PIPELINE_SYNC) return {};
        if (PQstatus(handle_) != CONNECTION_OK) return connection_.broken();
        if (!*result) { // ends each statement's results
            ++done_;
            continue;
        }
        if (!patient_ || done_ >= sent_.size()) continue;
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) continue;
        answers_.answer(sent_[done_].which, connection_.rows_of(result->get()));
    }
}

Result<> PostgresConnection::query_all(std::span<Query const> queries, Answers& answers) {
    Pipeline pipeline(*this, queries, answers);
    for (std::size_t i = 0; i < queries.size(); ++i)
        if (auto const* entry = prepared(queries[i])) pipeline.add(i, *entry);
    return pipeline.size() > 1 ? pipeline.run() : Result<>();
}

struct Keywords {
    std::vector<std::string> names;
    std::vector<std::string> values;
    void add(std::string name, std::string value) {
        if (value.empty()) return;
        names.push_back(std::move(name));
        values.push_back(std::move(value));
    }
};

// A postgresql:// URI brings its own user, password and database, as in Postfix.
Keywords keywords(ServerSettings const& server, bool with_timeout) {
    Keywords out;
    if (server.host.contains("://"))
        out.add("dbname", server.host);
    else {
        out.add("host", server.host);
        out.add("port", server.port == 0 ? "" : std::to_string(server.port));
        out.add("user", server.user);
        out.add("password", server.password);
        // Never a connection string: the name comes out of a file that may not choose another host.
        out.add("dbname", server.database);
    }
    out.add("fallback_application_name", "postern");
    for (auto const& [name, value] : server.options)
        if (name != "statement_timeout")
            out.add(name, value);
        else if (with_timeout && !value.empty())
            out.add("options", "-c statement_timeout=" + value);
    return out;
}

Result<ConnectionHandle> start(ServerSettings const& server, bool with_timeout, Deadline deadline) {
    auto const words = keywords(server, with_timeout);
    std::vector<char const*> names, values;
    for (auto const& name : words.names) names.push_back(name.c_str());
    for (auto const& value : words.values) values.push_back(value.c_str());
    names.push_back(nullptr);
    values.push_back(nullptr);
    int const expands = server.host.contains("://") ? 1 : 0;
    ConnectionHandle handle(PQconnectStartParams(names.data(), values.data(), expands));
    if (!handle) return temporary("out of memory");
    auto state = PGRES_POLLING_WRITING; // what libpq says to wait for first
    while (PQstatus(handle.get()) != CONNECTION_BAD && state != PGRES_POLLING_OK) {
        auto const events = static_cast<short>(state == PGRES_POLLING_READING ? POLLIN : POLLOUT);
        if (!wait_for(PQsocket(handle.get()), events, deadline))
            return temporary(server.to_string() + ": no connection before the time limit");
        if ((state = PQconnectPoll(handle.get())) == PGRES_POLLING_FAILED) break;
    }
    return handle;
}

// A connection that only listens. It asks something now and then: a firewall that forgets quiet connections
// would else leave it waiting for ever.
class PostgresListener final : public NotificationSource {
  public:
    explicit PostgresListener(ConnectionHandle handle) : handle_(std::move(handle)) {}
    Result<std::vector<std::string>> wait(int stop) override;
    Result<> run(std::string const& sql, Deadline deadline);

  private:
    std::unexpected<Error> broken() const { return temporary(one_line(PQerrorMessage(handle_.get()))); }
    ConnectionHandle handle_;
};

Result<> PostgresListener::run(std::string const& sql, Deadline deadline) {
    if (PQsendQuery(handle_.get(), sql.c_str()) == 0) return broken();
    while (true) {
        while (PQflush(handle_.get()) > 0 || PQisBusy(handle_.get()) != 0) {
            if (!wait_for(PQsocket(handle_.get()), POLLIN, deadline))
                return temporary("no answer before the time limit");
            if (PQconsumeInput(handle_.get()) == 0) return broken();
        }
        ResultHandle const result(PQgetResult(handle_.get()));
        if (!result) return PQstatus(handle_.get()) == CONNECTION_OK ? Result<>() : broken();
        if (PQresultStatus(result.get()) == PGRES_FATAL_ERROR) return broken();
    }
}

Result<std::vector<std::string>> PostgresListener::wait(int stop) {
    std::array<pollfd, 2> waiting{{{PQsocket(handle_.get()), POLLIN, 0}, {stop, POLLIN, 0}}};
    int const ready = ::poll(waiting.data(), waiting.size(), static_cast<int>(listener_pause.count()));
    std::vector<std::string> payloads;
    if (waiting[1].revents != 0 || (ready < 0 && errno == EINTR)) return payloads;
    if (ready == 0) {
        if (auto alive = run("SELECT 1", Deadline::after(listener_patience)); !alive)
            return std::unexpected(std::move(alive).error());
    } else if (PQconsumeInput(handle_.get()) == 0) {
        return broken();
    }
    struct Free {
        void operator()(PGnotify* notify) const { PQfreemem(notify); }
    };
    while (std::unique_ptr<PGnotify, Free> const notify{PQnotifies(handle_.get())})
        payloads.emplace_back(notify->extra == nullptr ? "" : notify->extra);
    return payloads;
}

} // namespace

Result<std::unique_ptr<NotificationSource>> listen_postgresql(ServerSettings const& server,
                                                              std::string const& channel, Deadline deadline) {
    if (auto resolved = is_resolved(server, deadline); !resolved)
        return std::unexpected(std::move(resolved).error());
    auto handle = start(server, false, deadline);
    if (!handle) return std::unexpected(std::move(handle).error());
    if (PQstatus(handle->get()) != CONNECTION_OK)
        return temporary(server.to_string() + ": " + one_line(PQerrorMessage(handle->get())));
    if (PQsetnonblocking(handle->get(), 1) != 0) return temporary(server.to_string() + ": not non-blocking");
    PQsetNoticeProcessor(handle->get(), [](void*, char const*) {}, nullptr);
    auto listener = std::make_unique<PostgresListener>(std::move(*handle));
    if (auto done = listener->run("LISTEN \"" + replace_all(channel, "\"", "\"\"") + "\"", deadline); !done)
        return std::unexpected(std::move(done).error().within(server.to_string()));
    return listener;
}

Result<std::unique_ptr<Connection>> connect_postgresql(ServerSettings const& server, Deadline deadline) {
    auto handle = start(server, true, deadline);
    // pgbouncer refuses "options"; the server then runs a statement to its end.
    if (handle && PQstatus(handle->get()) != CONNECTION_OK &&
        std::string_view(PQerrorMessage(handle->get())).contains("unsupported startup parameter"))
        handle = start(server, false, deadline);
    if (!handle) return std::unexpected(std::move(handle).error());
    if (PQstatus(handle->get()) != CONNECTION_OK)
        return temporary(server.to_string() + ": " + one_line(PQerrorMessage(handle->get())));
    if (PQsetnonblocking(handle->get(), 1) != 0) return temporary(server.to_string() + ": not non-blocking");
    PQsetNoticeProcessor(handle->get(), [](void*, char const*) {}, nullptr);
    return std::make_unique<PostgresConnection>(std::move(*handle), server.to_string());
}

} // namespace postern::sql
