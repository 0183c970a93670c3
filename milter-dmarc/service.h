// The daemon: the milter on its socket, the resolver, and the configuration that a reload replaces.
#pragma once

#include "common/base/metrics.h"
#include "common/daemon/milter_server.h"
#include "common/daemon/service.h"
#include "milter-dmarc/configuration.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>

namespace postern::milter_dmarc {

class Service final : public daemon::Service {
  public:
    // load reads the configuration again, for a reload.
    Service(std::shared_ptr<Configuration> configuration, std::function<Loaded()> load, Log& log,
            Metrics& metrics);
    ~Service() override;

    Result<> open(daemon::Opening& opening) override;
    Result<> start() override;
    Result<> reload() override;
    void stop() override;

    static constexpr std::chrono::seconds stop_grace{10};

  private:
    std::unique_ptr<milter::Session> new_session();
    std::shared_ptr<Configuration const> current() const;

    std::function<Loaded()> load_;
    Log& log_;
    Metrics& metrics_;
    Outcomes outcomes_;
    mutable std::mutex configuration_mutex_; // guards configuration_
    std::shared_ptr<Configuration> configuration_;
    std::optional<net::Listener> listener_;
    std::optional<daemon::MilterServer> milter_;
};

} // namespace postern::milter_dmarc
