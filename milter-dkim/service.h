// The daemon: its socket, its generations of configuration, its milter.
#pragma once

#include "common/base/metrics.h"
#include "common/daemon/milter_server.h"
#include "common/daemon/service.h"
#include "milter-dkim/session.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace postern::milter_dkim {

// Settings read and checked, data sets opened, keys loaded.
struct LoadedConfiguration {
    std::shared_ptr<Configuration const> configuration;
    std::vector<config::Problem> problems;
};
// Reads the file and the command line's assignments.
LoadedConfiguration load_configuration(std::string const& path,
                                       std::vector<config::Assignment> const& command_line, Log& log,
                                       Metrics& metrics);

daemon::Process process_of(Settings const& settings);

// What sessions work with. before: the one that it replaces, whose resolver and cache go on when the DNS
// settings are the same; may be null.
Result<std::shared_ptr<Generation const>>
make_generation(std::shared_ptr<Configuration const> configuration, Generation const* before, Log& log,
                Metrics& metrics, std::optional<std::int64_t> fixed_time = std::nullopt);

class Service final : public daemon::Service {
  public:
    using Load = std::function<LoadedConfiguration()>;

    Service(std::shared_ptr<Configuration const> configuration, Load load, Log& log, Metrics& metrics);
    ~Service() override;

    Result<> open(daemon::Opening& opening) override;
    Result<> start() override;
    Result<> reload() override;
    void stop() override;

  private:
    std::shared_ptr<Generation const> current() const;

    Load load_;
    Log& log_;
    Metrics& metrics_;
    Outcomes outcomes_;
    Gauge& oldest_key_;
    std::shared_ptr<Configuration const> first_;
    mutable std::mutex mutex_; // guards current_
    std::shared_ptr<Generation const> current_;
    std::optional<net::Listener> listener_;
    std::optional<daemon::MilterServer> milter_;
};

} // namespace postern::milter_dkim
