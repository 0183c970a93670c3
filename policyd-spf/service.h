// The two ways policyd-spf lives: a standing daemon on a socket, or one client on standard input and output.
#pragma once

#include "common/daemon/service.h"
#include "common/net/server.h"
#include "policyd-spf/lazy_resolver.h"
#include "policyd-spf/session.h"

#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace postern::policyd_spf {

// What sessions need, made once a process.
class Surroundings {
  public:
    Surroundings(Settings const& settings, Log& log, Metrics& metrics);

    Result<> open() { return resolver_.open(); }
    Shared shared() { return {resolver_, checker_, log_, metrics_}; }
    dns::Resolver& resolver() { return resolver_; }
    spf::Checker const& checker() const { return checker_; }

  private:
    Log& log_;
    Metrics& metrics_;
    LazyResolver resolver_;
    std::unique_ptr<spf::Engine> engine_;
    spf::Checker checker_;
};

class Service final : public daemon::Service {
  public:
    Service(Settings settings, std::string settings_path, net::ListenAddress address, Log& log,
            Metrics& metrics);

    Result<> open(daemon::Opening& opening) override;
    Result<> start() override;
    // Connections that are open keep their settings. Nameservers, the DNS cache, User, Metrics_Listen and the
    // limits of the server need a restart.
    Result<> reload() override;
    void stop() override;

  private:
    std::shared_ptr<Settings const> current() const;

    std::string settings_path_;
    net::ListenAddress address_;
    Log& log_;
    Metrics& metrics_;
    Surroundings surroundings_;
    mutable std::mutex settings_mutex_; // guards settings_
    std::shared_ptr<Settings const> settings_;
    std::optional<net::Listener> listener_;
    std::optional<net::Server> server_;
};

// Runs as the command line says: a daemon on the address, or one client on standard input and output until it
// closes. Mistakes in the file are logged and the rest of it counts, as stock has it. The exit code.
int serve(std::optional<std::string> const& listen, std::string const& settings_path, ReadSettings read,
          Metrics& metrics);

// The user that a daemon started by root becomes: the setting, else policyd-spf, else nobody.
std::string user_of(Settings const& settings);

} // namespace postern::policyd_spf
