// PostgreSQL's NOTIFY.
#include "common/sql/notifications.h"
#include "common/sql/postgres.h"

#include "common/base/text.h"

#include <array>
#include <cerrno>

namespace postern::sql {

namespace postgres {

namespace {

constexpr auto listener_pause =
    std::chrono::milliseconds(60'000);                      // of silence, then it is asked whether it lives
constexpr auto listener_patience = std::chrono::seconds(5); // for that

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

} // namespace postgres

Result<std::unique_ptr<NotificationSource>> listen_postgresql(ServerSettings const& server,
                                                              std::string const& channel, Deadline deadline) {
    if (auto resolved = is_resolved(server, deadline); !resolved)
        return std::unexpected(std::move(resolved).error());
    auto handle = postgres::start(server, false, deadline);
    if (!handle) return std::unexpected(std::move(handle).error());
    if (auto usable = postgres::make_usable(handle->get(), server); !usable)
        return std::unexpected(std::move(usable).error());
    auto listener = std::make_unique<postgres::PostgresListener>(std::move(*handle));
    if (auto done = listener->run("LISTEN \"" + replace_all(channel, "\"", "\"\"") + "\"", deadline); !done)
        return std::unexpected(std::move(done).error().within(server.to_string()));
    return listener;
}

} // namespace postern::sql
