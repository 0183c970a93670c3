// How a connection to MariaDB begins.
#include "common/sql/mariadb.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::sql {

namespace mariadb {

namespace {

constexpr auto look_at_node = std::chrono::seconds(2); // how long a Galera node is taken to be synced still

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

} // namespace mariadb

Result<std::unique_ptr<Connection>> connect_mariadb(ServerSettings const& server, Deadline deadline) {
    mariadb::ConnectionHandle handle(mysql_init(nullptr));
    if (!handle) return temporary("out of memory");
    mariadb::apply_options(handle.get(), server, deadline);
    bool const socket = server.host.starts_with('/');
    // An empty name and "localhost" both mean the library's own socket.
    auto const* host = socket || server.host.empty() ? nullptr : server.host.c_str();
    auto const* path = socket ? server.host.c_str() : nullptr;
    auto const* user = server.user.empty() ? nullptr : server.user.c_str();
    auto const* password = server.password.empty() ? nullptr : server.password.c_str();
    auto const* database = server.database.empty() ? nullptr : server.database.c_str();
    MYSQL* connected = nullptr;
    if (!mariadb::run_to_end(
            handle.get(),
            [&] {
                return mysql_real_connect_start(&connected, handle.get(), host, user, password, database,
                                                server.port, path, CLIENT_MULTI_RESULTS);
            },
            [&](int came) { return mysql_real_connect_cont(&connected, handle.get(), came); },
            [&](int wanted) { return mariadb::wait_for(handle.get(), wanted, deadline); }))
        return temporary(server.to_string() + ": no connection before the time limit");
    if (connected == nullptr)
        return temporary(fmt::format("{}: {} ({})", server.to_string(), mysql_error(handle.get()),
                                     mysql_errno(handle.get())));
    auto connection = std::make_unique<mariadb::MariadbConnection>(std::move(handle), server.to_string());
    if (auto ready = connection->prepare_session(server, deadline); !ready)
        return std::unexpected(std::move(ready).error());
    return connection;
}

} // namespace postern::sql
