// How a connection to PostgreSQL begins.
#include "common/sql/postgres.h"

#include <string_view>

namespace postern::sql {

namespace postgres {

namespace {

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

} // namespace

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

Result<> make_usable(PGconn* connection, ServerSettings const& server) {
    if (PQstatus(connection) != CONNECTION_OK)
        return temporary(server.to_string() + ": " + one_line(PQerrorMessage(connection)));
    if (PQsetnonblocking(connection, 1) != 0) return temporary(server.to_string() + ": not non-blocking");
    PQsetNoticeProcessor(
        connection, [](void*, char const*) {}, nullptr);
    return {};
}

} // namespace postgres

Result<std::unique_ptr<Connection>> connect_postgresql(ServerSettings const& server, Deadline deadline) {
    auto handle = postgres::start(server, true, deadline);
    // pgbouncer refuses "options"; the server then runs a statement to its end.
    if (handle && PQstatus(handle->get()) != CONNECTION_OK &&
        std::string_view(PQerrorMessage(handle->get())).contains("unsupported startup parameter"))
        handle = postgres::start(server, false, deadline);
    if (!handle) return std::unexpected(std::move(handle).error());
    if (auto usable = postgres::make_usable(handle->get(), server); !usable)
        return std::unexpected(std::move(usable).error());
    return std::make_unique<postgres::PostgresConnection>(std::move(*handle), server.to_string());
}

} // namespace postern::sql
