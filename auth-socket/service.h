// The daemon: its listeners, its workers, and the users as the configuration has them now.
#pragma once

#include "auth-socket/dovecot_master.h"
#include "auth-socket/helper/helper.h"
#include "auth-socket/master_session.h"
#include "auth-socket/session.h"
#include "auth-socket/settings.h"
#include "auth-socket/shared_penalties.h"
#include "auth-socket/users/loader.h"
#include "common/daemon/service.h"
#include "common/net/switchboard.h"

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace postern::auth_socket {

// What a configuration comes to; taken once per connection, replaced as a whole by a reload.
struct Configuration {
    Settings settings;
    Users users;
    std::shared_ptr<Authority const> authority; // the users', and whoever else has a say
};

// Reads both files. Problems are added.
Configuration load_configuration(std::string const& dovecot_conf, OwnSettings const& own,
                                 Helper const& helper, Hashing& hashing, Log& log, Metrics& metrics,
                                 std::vector<config::Problem>& problems);

class AuthService final : public daemon::Service {
  public:
    using Loader = std::function<Configuration(std::vector<config::Problem>&)>;

    // master: set where Dovecot's master process started this one; the listeners are then its, not ours.
    AuthService(Configuration configuration, OwnSettings own, Loader loader, Helper& helper, Log& log,
                Metrics& metrics, std::optional<MasterEnvironment> master = std::nullopt);

    Result<> open(daemon::Opening& opening) override;
    Result<> start() override;
    Result<> reload() override;
    void stop() override;

  private:
    struct Opened {
        ListenerSettings settings;
        net::Listener listener;
    };
    Result<> open_listeners(daemon::Opening& opening);
    Result<> adopt_listeners();
    std::shared_ptr<Tokens const> read_tokens() const;
    std::shared_ptr<Configuration const> current() const;
    std::shared_ptr<Configuration const> finished(Configuration configuration);
    std::size_t flush_caches(std::vector<std::string> const& users);
    net::SessionFactory factory(ListenerSettings const& listener);
    MasterSettings master_settings(ListenerSettings const& listener);

    OwnSettings const own_;
    Loader const loader_;
    Helper& helper_;
    Log& log_;
    Metrics& metrics_;
    mutable std::mutex configuration_mutex_; // guards configuration_ and caches_
    std::shared_ptr<Configuration const> configuration_;
    std::vector<std::weak_ptr<AuthCache>> caches_; // also those of connections from before a reload
    TimeSource const now_;
    Logins logins_;
    Penalties penalties_;
    std::optional<SharedPenalties> shared_penalties_;
    Workers workers_;
    Workers web_workers_;
    Workers user_workers_;
    std::atomic<std::uint32_t> connection_ids_{0};
    LoginCounts const counts_;
    Surroundings surroundings_;
    std::vector<Opened> opened_;
    std::vector<std::unique_ptr<net::Switchboard>> servers_;
    std::optional<MasterEnvironment> const master_;
    std::optional<MasterLink> master_link_;
};

} // namespace postern::auth_socket
