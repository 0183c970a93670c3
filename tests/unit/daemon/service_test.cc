// The life of a daemon, in processes of its own: readiness, reload, stop, failures.
#include "common/daemon/service.h"

#include "common/daemon/command_line.h"
#include "common/net/stream.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/skip.h"
#include "tests/unit/support/temp_dir.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>
#include <fstream>

using namespace postern;
using namespace postern::daemon;
using namespace std::chrono_literals;

namespace {

struct Probe : Service {
    std::string socket;
    Result<> opened;
    Result<> started;
    Result<> reloaded;
    std::atomic<bool> broken = false;
    std::optional<net::Listener> listener;

    Result<> open(Opening& opening) override {
        if (!opened) return opened;
        auto made = opening.listen(*net::parse_listen_address(socket), "probe");
        if (!made) return std::unexpected(made.error());
        listener.emplace(std::move(*made));
        return {};
    }
    std::string worker_file;
    Result<> start() override {
        std::ofstream(worker_file) << ::getpid();
        return started;
    }
    Result<> reload() override { return reloaded; }
    void stop() override { listener.reset(); }
    bool failed() const override { return broken; }
};

// What a service manager sees: datagrams on NOTIFY_SOCKET.
class Manager {
  public:
    explicit Manager(std::string const& path) : fd_(::socket(AF_UNIX, SOCK_DGRAM, 0)) {
        sockaddr_un name{};
        name.sun_family = AF_UNIX;
        std::memcpy(name.sun_path, path.data(), path.size());
        REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr const*>(&name), sizeof name) == 0);
    }
    std::string next() {
        pollfd waiting{fd_.get(), POLLIN, 0};
        if (::poll(&waiting, 1, 10000) != 1) return "<nothing>";
        std::array<char, 500> buffer{};
        auto const n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0);
        return {buffer.data(), static_cast<std::size_t>(n)};
    }

  private:
    net::Descriptor fd_;
};

struct Fixture {
    test::TempDir dir;
    Manager manager{dir.path("notify")};
    Probe probe;
    Process process;

    Fixture() {
        probe.socket = "unix:" + dir.path("probe.sock");
        probe.worker_file = dir.path("worker");
        process.name = "probe";
        process.pid_file = dir.path("pid");
    }
    pid_t start() {
        pid_t const child = ::fork();
        if (child == 0) {
            ::setenv("NOTIFY_SOCKET", dir.path("notify").c_str(), 1);
            StreamLog log("probe", ::open(dir.path("log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600));
            Metrics metrics;
            ::_exit(run(probe, process, log, metrics));
        }
        return child;
    }
};

int exit_of(pid_t child) {
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

} // namespace

TEST_CASE("a daemon tells when it is ready, reloads on SIGHUP and stops on SIGTERM") {
    Fixture f;
    pid_t const child = f.start();
    CHECK(f.manager.next() == "READY=1\nMAINPID=" + std::to_string(child));
    CHECK(f.dir.read("pid") == std::to_string(child) + "\n");
    CHECK(net::connect(*net::parse_address(f.dir.path("probe.sock")), Deadline::after(5s)));
    ::kill(child, SIGHUP);
    CHECK(f.manager.next().starts_with("RELOADING=1\nMONOTONIC_USEC="));
    CHECK(f.manager.next() == "READY=1");
    ::kill(child, SIGTERM);
    CHECK(f.manager.next() == "STOPPING=1");
    CHECK(exit_of(child) == 0);
    CHECK_FALSE(std::filesystem::exists(f.dir.path("pid")));
    CHECK_FALSE(std::filesystem::exists(f.dir.path("probe.sock")));
    CHECK(f.dir.read("log").find("configuration reloaded") != std::string::npos);
}

TEST_CASE("a reload that fails says why and the daemon goes on") {
    Fixture f;
    f.probe.reloaded = permanent("x.conf:3: bad");
    f.process.reload_on_usr1 = true;
    pid_t const child = f.start();
    f.manager.next();
    ::kill(child, SIGUSR1);
    f.manager.next();
    CHECK(f.manager.next() == "READY=1");
    ::kill(child, SIGTERM);
    CHECK(exit_of(child) == 0);
    CHECK(f.dir.read("log").find("error: reload failed, the old configuration stays: x.conf:3: bad") !=
          std::string::npos);
}

TEST_CASE("what cannot be opened, started or become ends with its exit code") {
    Fixture f;
    f.probe.opened = permanent("unix:/x: no");
    CHECK(exit_of(f.start()) == exit_unavailable);
    f.probe.opened = {};
    f.probe.started = temporary("database away");
    CHECK(exit_of(f.start()) == exit_temporary);
    f.probe.started = {};
    f.process.working_directory = f.dir.path("none");
    CHECK(exit_of(f.start()) == exit_configuration);
    f.process.working_directory.clear();
    f.process.pid_file = f.dir.path("none/pid");
    CHECK(exit_of(f.start()) == exit_unavailable);
    f.process.pid_file.clear();
    if (::geteuid() == 0) {
        f.process.user = "no-such-user";
        CHECK(exit_of(f.start()) == exit_no_permission);
        f.process.user.clear();
    }
    f.probe.broken = true;
    CHECK(exit_of(f.start()) == exit_software);
}

TEST_CASE(
    "in the background the parent ends when the child is ready, with the child's failure if it has one") {
    Fixture f;
    f.process.background = true;
    pid_t const parent = f.start();
    CHECK(exit_of(parent) == 0);
    auto const child = std::stoi(f.dir.read("pid"));
    CHECK(child != parent);
    CHECK(net::connect(*net::parse_address(f.dir.path("probe.sock")), Deadline::after(5s)));
    CHECK(f.manager.next() == "READY=1\nMAINPID=" + std::to_string(child));
    ::kill(child, SIGTERM);
    CHECK(f.manager.next() == "STOPPING=1");

    f.probe.socket = "unix:" + f.dir.path("second.sock");
    f.probe.started = permanent("no");
    CHECK(exit_of(f.start()) == exit_unavailable);
}

TEST_CASE("a Unix socket that names no owner belongs to the user that the daemon becomes") {
    if (!is_root()) return postern::test::skip_case("only root can give a file away");
    test::TempDir const dir;
    auto const nobody = *find_identity("nobody");
    Opening opening(net::SystemdSockets::take(), nobody);
    auto const owner_of = [&](std::string const& options) {
        auto const path = dir.path("socket");
        auto const listener = opening.listen(*net::parse_listen_address("unix:" + path + options), "probe");
        REQUIRE(listener);
        struct stat info{};
        REQUIRE(::stat(path.c_str(), &info) == 0);
        return std::pair(info.st_uid, info.st_gid);
    };
    CHECK(owner_of("") == std::pair(nobody.uid, nobody.gid));
    CHECK(owner_of(" mode=0600") == std::pair(nobody.uid, nobody.gid));
    CHECK(owner_of(" group=daemon").first == 0);
    CHECK(owner_of(" owner=daemon").second == 0);
}

TEST_CASE("the metrics listener answers while the daemon lives") {
    Fixture f;
    f.process.metrics_listen = *net::parse_listen_address("unix:" + f.dir.path("metrics.sock"));
    pid_t const child = f.start();
    f.manager.next();
    auto stream = net::connect(*net::parse_address(f.dir.path("metrics.sock")), Deadline::after(5s));
    REQUIRE(stream);
    REQUIRE(stream->write("GET /metrics HTTP/1.1\r\n\r\n", Deadline::after(5s)));
    CHECK(stream->read_line(100, Deadline::after(5s)) == "HTTP/1.1 200 OK");
    ::kill(child, SIGTERM);
    CHECK(exit_of(child) == 0);
}

TEST_CASE("with AutoRestart a killed worker comes back on the same socket, and a stop ends both") {
    Fixture f;
    f.process.auto_restart = RestartPolicy{};
    pid_t const parent = f.start();
    CHECK(f.manager.next() == "READY=1\nMAINPID=" + std::to_string(parent));
    CHECK(f.dir.read("pid") == std::to_string(parent) + "\n");
    auto const worker = std::stoi(f.dir.read("worker"));
    ::kill(worker, SIGKILL);
    CHECK(net::connect(*net::parse_address(f.dir.path("probe.sock")), Deadline::after(5s)));
    CHECK(f.manager.next() == "READY=1\nMAINPID=" + std::to_string(parent));
    CHECK(std::stoi(f.dir.read("worker")) != worker);
    ::kill(parent, SIGHUP);
    CHECK(f.manager.next().starts_with("RELOADING=1"));
    CHECK(f.manager.next() == "READY=1");
    ::kill(parent, SIGTERM);
    CHECK(f.manager.next() == "STOPPING=1");
    CHECK(exit_of(parent) == 0);
    CHECK(f.dir.read("log").find("ended with signal 9") != std::string::npos);
}

TEST_CASE("AutoRestart gives up at its limit with the worker's exit code") {
    Fixture f;
    f.process.auto_restart = RestartPolicy{.most = 1};
    f.probe.started = permanent("no");
    CHECK(exit_of(f.start()) == exit_unavailable);
    CHECK(f.dir.read("log").find("the limit of AutoRestart is reached") != std::string::npos);
    f.process.auto_restart = RestartPolicy{.rate = 1, .rate_period = std::chrono::hours(1)};
    CHECK(exit_of(f.start()) == exit_unavailable);
}
