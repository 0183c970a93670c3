// From start to stop: descriptors, pid file, user, signals, the service manager.
#include "common/daemon/service.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/daemon/command_line.h"
#include "common/daemon/manager.h"
#include "common/daemon/metrics_session.h"
#include "common/daemon/pid_file.h"
#include "common/daemon/privileges.h"
#include "common/daemon/signals.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include <array>
#include <cerrno>
#include <cstdlib>

namespace postern::daemon {

namespace {

int exit_code_of(Error const& error, int otherwise) {
    return error.kind == ErrorKind::temporary ? exit_temporary : otherwise;
}

// In the background: the parent waits for one octet, the child's exit code, and goes with it.
class Readiness {
  public:
    // Gives back the parent's exit code in the parent and nothing in the child.
    std::optional<int> fork_away() {
        std::array<int, 2> ends{};
        if (::pipe2(ends.data(), O_CLOEXEC) != 0) return exit_os_error;
        pid_t const child = ::fork();
        if (child < 0) return exit_os_error;
        if (child > 0) {
            ::close(ends[1]);
            unsigned char code = exit_software;
            while (::read(ends[0], &code, 1) < 0 && errno == EINTR) {
            }
            return code;
        }
        ::close(ends[0]);
        to_parent_.reset(ends[1]);
        ::setsid();
        return std::nullopt;
    }

    void tell(int code) {
        if (!to_parent_) return;
        auto const octet = static_cast<unsigned char>(code);
        [[maybe_unused]] auto const written = ::write(to_parent_.get(), &octet, 1);
        to_parent_.reset();
    }

    bool in_background() const { return static_cast<bool>(to_parent_); }

  private:
    net::Descriptor to_parent_;
};

void detach_standard_streams() {
    net::Descriptor const null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    for (int const stream : {0, 1, 2}) ::dup2(null.get(), stream);
}

std::optional<std::chrono::milliseconds> watchdog_interval() {
    char const* text = std::getenv("WATCHDOG_USEC");
    auto const microseconds = text == nullptr ? std::nullopt : parse_number<std::int64_t>(text);
    if (!microseconds || *microseconds <= 0) return std::nullopt;
    return std::chrono::milliseconds(*microseconds / 2000); // sd_watchdog_enabled(3): half of it
}

std::int64_t monotonic_microseconds() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

// One daemon's life; its members are in the order of their making.
class Life {
  public:
    Life(Service& service, Process const& process, Log& log, Metrics& metrics)
        : service_(service), process_(process), log_(log), metrics_(metrics) {}

    int live() {
        if (process_.umask) ::umask(static_cast<mode_t>(*process_.umask));
        if (process_.core_dumps) allow_core_dumps();
        if (!process_.working_directory.empty() && ::chdir(process_.working_directory.c_str()) != 0)
            return failed(system_error(process_.working_directory, errno, ErrorKind::permanent).error(),
                          exit_configuration);
        // The sockets are opened before the fork, so that a mistake still reaches the terminal.
        Opening opening(net::SystemdSockets::take(), is_root() ? configured_user() : std::nullopt);
        if (auto opened = open(opening); !opened) return failed(opened.error(), exit_unavailable);
        if (process_.background)
            if (auto const code = readiness_.fork_away()) return parent_goes(*code);
        auto const code = serve();
        readiness_.tell(code);
        return code;
    }

  private:
    Result<> open(Opening& opening) {
        if (process_.metrics_listen) {
            auto listener = opening.listen(*process_.metrics_listen, "metrics");
            if (!listener) return std::unexpected(std::move(listener.error()).within("metrics"));
            net::ServerLimits const limits{.max_connections = 16, .idle_timeout = std::chrono::seconds(10)};
            metrics_server_.emplace(
                std::move(*listener), limits,
                [this](net::Peer const&, net::Waker) { return std::make_unique<MetricsSession>(metrics_); },
                log_, metrics_, "metrics");
        }
        return service_.open(opening);
    }

    // The parent of a background daemon leaves sockets and files to its child.
    [[noreturn]] static int parent_goes(int code) { ::_exit(code); }

    int serve() {
        if (auto written = pid_file_.write(process_.pid_file, configured_user()); !written)
            return failed(written.error(), exit_unavailable);
        if (auto changed = change_user(); !changed) return failed(changed.error(), exit_no_permission);
        if (process_.auto_restart)
            return supervise(
                *process_.auto_restart, process_.reload_on_usr1, [this] { return work(); }, log_);
        return work();
    }

    int work() {
        Signals signals(process_.reload_on_usr1);
        if (auto started = service_.start(); !started)
            return failed(started.error(), exit_code_of(started.error(), exit_unavailable));
        if (metrics_server_) metrics_server_->start();
        if (readiness_.in_background()) detach_standard_streams();
        readiness_.tell(exit_ok);
        manager_.tell(fmt::format("READY=1\nMAINPID={}", process_.auto_restart ? ::getppid() : ::getpid()));
        int const code = wait_for_the_end(signals);
        manager_.tell("STOPPING=1");
        if (metrics_server_) metrics_server_->stop();
        service_.stop();
        return code;
    }

    std::optional<Identity> configured_user() const {
        if (process_.user.empty()) return std::nullopt;
        auto const identity = find_identity(process_.user);
        return identity ? std::optional(*identity) : std::nullopt;
    }

    Result<> change_user() {
        std::optional<Identity> identity;
        if (!process_.user.empty() && is_root()) {
            auto found = find_identity(process_.user);
            if (!found) return std::unexpected(found.error());
            identity = std::move(*found);
        }
        if (!process_.root_directory.empty()) {
            manager_.keep();
            if (::chroot(process_.root_directory.c_str()) != 0 || ::chdir("/") != 0)
                return system_error(fmt::format("chroot {}", process_.root_directory), errno,
                                    ErrorKind::permanent);
        }
        if (!identity) return {};
        auto done = become(*identity);
        if (process_.core_dumps) ::prctl(PR_SET_DUMPABLE, 1);
        return done;
    }

    int wait_for_the_end(Signals& signals) {
        auto const watchdog = watchdog_interval();
        for (;;) {
            auto const until = Deadline::after(std::min<std::chrono::milliseconds>(
                watchdog.value_or(std::chrono::seconds(5)), std::chrono::seconds(5)));
            switch (signals.wait(until)) {
            case Signals::Event::none: break;
            case Signals::Event::stop: return exit_ok;
            case Signals::Event::reload: reload(); break;
            }
            if (watchdog) manager_.tell("WATCHDOG=1");
            if (service_.failed()) {
                log_.error("{}: stopped by itself; see the lines above", process_.name);
                return exit_software;
            }
        }
    }

    void reload() {
        manager_.tell(fmt::format("RELOADING=1\nMONOTONIC_USEC={}", monotonic_microseconds()));
        if (auto done = service_.reload(); done)
            log_.info("configuration reloaded");
        else
            log_.error("reload failed, the old configuration stays: {}", done.error().text);
        manager_.tell("READY=1");
    }

    void allow_core_dumps() {
        rlimit const unlimited{RLIM_INFINITY, RLIM_INFINITY};
        if (::setrlimit(RLIMIT_CORE, &unlimited) != 0)
            log_.warning("core dumps cannot be allowed: setrlimit failed");
    }

    // To the log, and to the terminal of who started it while that is still there.
    int failed(Error const& error, int code) {
        log_.error("{}", error.text);
        if (dynamic_cast<StreamLog*>(&log_) == nullptr && !readiness_.in_background()) {
            auto const line = fmt::format("{}: {}\n", process_.name, error.text);
            [[maybe_unused]] auto const written = ::write(2, line.data(), line.size());
        }
        return code;
    }

    Service& service_;
    Process const& process_;
    Log& log_;
    Metrics& metrics_;
    Manager manager_;
    Readiness readiness_;
    PidFile pid_file_;
    std::optional<net::Server> metrics_server_;
};

} // namespace

Result<net::Listener> Opening::listen(net::ListenAddress const& address, std::string_view role) {
    auto const name =
        address.address.kind == net::Address::Kind::systemd ? std::string_view(address.address.path) : role;
    if (auto passed = sockets_.claim(name)) return net::Listener::adopt(std::move(*passed), address.address);
    auto owned = address;
    if (owner_ && address.address.kind == net::Address::Kind::unix_socket && address.owner.empty() &&
        address.group.empty()) {
        owned.owner = std::to_string(owner_->uid);
        owned.group = std::to_string(owner_->gid);
    }
    return net::Listener::open(owned);
}

int run(Service& service, Process const& process, Log& log, Metrics& metrics) {
    return Life(service, process, log, metrics).live();
}

} // namespace postern::daemon
