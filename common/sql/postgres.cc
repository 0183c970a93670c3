// PostgreSQL by libpq's asynchronous calls, so that every wait ends at its deadline.
#include "common/sql/database.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <cerrno>
#include <map>
#include <memory>

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

constexpr Oid text_type = 25;                // pg_type: text
constexpr std::size_t max_known_types = 256; // statements whose parameter types are remembered

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
    bool healthy() override {
        // Nothing is owed to us between statements: whatever can be read is the server's farewell.
        pollfd waiting{PQsocket(handle_.get()), POLLIN, 0};
        return PQstatus(handle_.get()) == CONNECTION_OK && ::poll(&waiting, 1, 0) == 0;
    }

  private:
    using Types = std::vector<Oid>;
    Result<ResultHandle> run(std::string const& sql, std::span<std::string const> values, Types const& types,
                             Deadline deadline);
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
    // Which parameters of a statement had to be declared as text; the others take their type from where they
    // stand, as a quoted literal does.
    std::map<std::string, Types, std::less<>> known_types_;
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

Result<ResultHandle> PostgresConnection::run(std::string const& sql, std::span<std::string const> values,
                                             Types const& types, Deadline deadline) {
    std::vector<char const*> pointers;
    for (auto const& value : values) pointers.push_back(value.c_str());
    if (PQsendQueryParams(handle_.get(), sql.c_str(), static_cast<int>(values.size()), types.data(),
                          pointers.data(), nullptr, nullptr, 0) == 0)
        return broken();
    if (auto done = flush(deadline); !done) return std::unexpected(std::move(done).error());
    return collect(deadline);
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
    auto const known = known_types_.find(sql);
    Types types = known != known_types_.end() ? known->second : Types(values.size(), 0);
    // concat('%u', ...) and the like take a literal as text, but ask for a parameter's type.
    for (std::size_t tries = 0; tries <= values.size(); ++tries) {
        auto result = run(sql, values, types, deadline);
        if (!result) return std::unexpected(std::move(result).error());
        auto const parameter = undetermined_parameter(result->get());
        if (!parameter || *parameter == 0 || *parameter > types.size()) return rows_of(result->get());
        types[*parameter - 1] = text_type;
        if (known_types_.size() >= max_known_types) known_types_.clear();
        known_types_[sql] = types;
    }
    return permanent(host_ + ": the types of the parameters cannot be found out");
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

} // namespace

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
