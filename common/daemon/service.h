// The life of a daemon: sockets as root, privileges dropped, ready, signals, reload, stop.
#pragma once

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/daemon/privileges.h"
#include "common/daemon/supervisor.h"
#include "common/net/listener.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::daemon {

// Sockets for a program: systemd's where it passed one, else bound here. Handed to Service::open().
class Opening {
  public:
    // owner: whom the daemon becomes after opening. A Unix socket without an owner and a group of its own is
    // given to that user, as if the daemon had bound it afterwards, which the replaced ones do.
    Opening(net::SystemdSockets sockets, std::optional<Identity> owner)
        : sockets_(std::move(sockets)), owner_(std::move(owner)) {}
    // systemd:NAME takes that socket. Any other address is bound, unless systemd passed a socket called role
    // ("proxymap", "milter", "metrics"), which then serves in its place.
    Result<net::Listener> listen(net::ListenAddress const& address, std::string_view role);

  private:
    net::SystemdSockets sockets_;
    std::optional<Identity> owner_;
};

// What a program does between its start and its end. run() calls from the main thread, and forks between
// open() and start() when the process is to live in the background: what starts a thread (a resolver, a pool)
// is made in start().
class Service {
  public:
    virtual ~Service() = default;
    // With the privileges of the start: bind sockets, read keys that only root may.
    virtual Result<> open(Opening& opening) = 0;
    // As the final user: start threads. After it the daemon is ready.
    virtual Result<> start() = 0;
    // SIGHUP (and SIGUSR1 where the replaced daemon used it): read the configuration again. An error is
    // logged and the old settings stay.
    virtual Result<> reload() = 0;
    // Answer what was begun, refuse what is new, join every thread.
    virtual void stop() = 0;
    // True when it ended by itself; run() then stops with exit_software.
    virtual bool failed() const { return false; }
};

// How the process is to live, from the settings.
struct Process {
    std::string name;              // for messages
    std::string user;              // "user[:group]" to become after open(); empty: stay
    std::string pid_file;          // written before the user changes; empty: none
    std::string working_directory; // chdir before anything else
    std::string root_directory;    // chroot after open()
    std::optional<unsigned> umask;
    bool background = false; // fork; the parent exits 0 when the child is ready, or with the child's code
    bool reload_on_usr1 = false;
    bool core_dumps = false;
    std::optional<net::ListenAddress> metrics_listen;
    std::optional<RestartPolicy> auto_restart; // a parent starts the working process again when it dies
};

// Runs until SIGTERM or SIGINT. Gives back the exit code: 0, or exit_unavailable (socket), exit_no_permission
// (user), exit_os_error, exit_software. Speaks sd_notify(3) and the watchdog where NOTIFY_SOCKET is set.
int run(Service& service, Process const& process, Log& log, Metrics& metrics);

} // namespace postern::daemon
