// The daemon: its sockets, and the tables behind them.
#pragma once

#include "common/daemon/service.h"
#include "common/net/crowd.h"
#include "common/net/server.h"
#include "sql-maps/maps.h"
#include "sql-maps/settings.h"

#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace postern::sql_maps {

class SqlMaps final : public daemon::Service {
  public:
    SqlMaps(Settings settings, std::string configuration, Log& log, Metrics& metrics);

    Result<> open(daemon::Opening& opening) override;
    Result<> start() override;
    Result<> reload() override;
    void stop() override;

  private:
    // What one reading of the configuration gave; a connection keeps the one it began with.
    struct Generation {
        Settings settings;
        std::shared_ptr<NamedMaps const> named;
        Maps maps;
        bool greets;
        Generation(Settings read, bool client_waits, Log& log, Metrics& metrics);
    };
    std::shared_ptr<Generation> current() const;
    Result<> serve(daemon::Opening& opening, std::optional<net::ListenAddress> const& address,
                   std::string const& role, net::SessionFactory factory);
    bool greets(Settings const& settings) const;

    std::string configuration_;
    Log& log_;
    Metrics& metrics_;
    mutable std::mutex mutex_; // guards generation_
    std::shared_ptr<Generation> generation_;
    std::vector<std::unique_ptr<net::Crowd>> servers_;
};

} // namespace postern::sql_maps
