// The daemon: its listeners, and what their sessions share.
#pragma once

#include "common/daemon/service.h"
#include "common/net/server.h"
#include "lmtp-deliver/broker.h"
#include "lmtp-deliver/mail_delivery.h"
#include "lmtp-deliver/settings.h"
#include "lmtp-deliver/userdb.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace postern::lmtp_deliver {

class LmtpService final : public daemon::Service {
  public:
    using Reread = std::function<Configuration()>;
    LmtpService(Configuration configuration, Reread reread, Log& log, Metrics& metrics);
    ~LmtpService() override;

    Result<> open(daemon::Opening& opening) override;
    Result<> start() override;
    // New settings count for new connections; listeners and user stay as they are.
    Result<> reload() override;
    void stop() override;
    bool failed() const override;

  private:
    // One configuration and what hangs on it; sessions hold the one they began with.
    struct Live;
    std::shared_ptr<Live> current() const;
    std::unique_ptr<net::Session> session(net::Peer const& peer) const;

    Reread reread_;
    Log& log_;
    Metrics& metrics_;
    Files files_;
    FileNames names_;
    Depositor depositor_;
    OwnExecutor own_executor_;
    std::optional<Broker> broker_; // when this process stays root
    Concurrency concurrency_;
    mutable std::mutex live_mutex_; // guards live_
    std::shared_ptr<Live> live_;
    std::vector<net::Listener> opened_;
    std::vector<std::unique_ptr<net::Server>> servers_;
};

} // namespace postern::lmtp_deliver
