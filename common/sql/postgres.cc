// PostgreSQL by libpq's asynchronous calls, so that every wait ends at its deadline.
#include "common/sql/postgres.h"

#include "common/base/text.h"

#include <cerrno>

namespace postern::sql::postgres {

std::string one_line(char const* message) {
    return std::string(trim(replace_all(message == nullptr ? "" : message, "\n", " ")));
}

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

namespace {

constexpr Oid text_type = 25; // pg_type: text
// SQLSTATE, errcodes.txt
constexpr std::string_view no_such_statement = "26000"; // invalid_sql_statement_name
constexpr std::string_view plan_is_old = "0A000";       // "cached plan must not change result type"
constexpr std::size_t max_known = 256;                  // statements that one connection remembers

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

} // namespace

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

} // namespace postern::sql::postgres
