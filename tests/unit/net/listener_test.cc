// Listeners: modes, stale and live sockets, what systemd passes.
#include "common/net/listener.h"

#include "common/net/stream.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <cstring>

using namespace postern;
using namespace postern::net;
using namespace std::chrono_literals;

namespace {

ListenAddress at(std::string const& path, std::string const& attributes = "") {
    return *parse_listen_address("unix:" + path + " " + attributes);
}

// A socket file that nobody listens on, as a killed daemon leaves it.
void leave_stale_socket(std::string const& path) {
    Descriptor const fd(::socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, path.data(), path.size());
    REQUIRE(::bind(fd.get(), reinterpret_cast<sockaddr const*>(&name), sizeof name) == 0);
}

} // namespace

TEST_CASE("a Unix socket gets its mode whatever the umask, and goes with its listener") {
    test::TempDir const dir;
    auto const path = dir.path("a.sock");
    auto const old = ::umask(0077);
    {
        auto const listener = Listener::open(at(path, "mode=0666"));
        REQUIRE(listener);
        struct stat status{};
        REQUIRE(::stat(path.c_str(), &status) == 0);
        CHECK((status.st_mode & 0777) == 0666);
    }
    ::umask(old);
    CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("a stale socket is replaced and a live one is refused") {
    test::TempDir const dir;
    auto const path = dir.path("a.sock");
    leave_stale_socket(path);
    auto const first = Listener::open(at(path));
    REQUIRE(first);
    auto const second = Listener::open(at(path));
    REQUIRE_FALSE(second);
    CHECK(second.error().text == "unix:" + path + ": another process listens there; stop it first");
    CHECK(connect(first->address(), Deadline::after(5s)));
}

TEST_CASE("a file that is no socket is never removed") {
    test::TempDir const dir;
    auto const path = dir.write("precious", "data");
    CHECK_FALSE(Listener::open(at(path)));
    CHECK(dir.read("precious") == "data");
}

TEST_CASE("a missing directory, an unknown owner and an unknown group are told") {
    test::TempDir const dir;
    CHECK_FALSE(Listener::open(at(dir.path("none/a.sock"))));
    auto const owner = Listener::open(at(dir.path("b.sock"), "owner=no-such-user"));
    REQUIRE_FALSE(owner);
    CHECK(owner.error().text == "unix:" + dir.path("b.sock") + ": no user \"no-such-user\"");
    CHECK_FALSE(std::filesystem::exists(dir.path("b.sock")));
    CHECK_FALSE(Listener::open(at(dir.path("c.sock"), "group=no-such-group")));
}

TEST_CASE("a listener that was replaced by another process' socket does not remove that one") {
    test::TempDir const dir;
    auto const path = dir.path("a.sock");
    {
        auto const listener = Listener::open(at(path));
        REQUIRE(listener);
        std::filesystem::remove(path);
        leave_stale_socket(path);
    }
    CHECK(std::filesystem::exists(path));
}

TEST_CASE("a busy port is refused") {
    auto const first = Listener::open(*parse_listen_address("inet:0@127.0.0.1"));
    REQUIRE(first);
    auto const second =
        Listener::open({Address{Address::Kind::inet, {}, "127.0.0.1", first->port()}, {}, {}, {}});
    CHECK_FALSE(second);
}

TEST_CASE("sockets that systemd passes are taken by name, in a process that they are meant for") {
    test::TempDir const dir;
    auto passed = Listener::open(at(dir.path("a.sock")));
    REQUIRE(passed);
    pid_t const child = ::fork();
    if (child == 0) {
        ::dup2(passed->descriptor(), 3);
        ::dup2(passed->descriptor(), 4);
        ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
        ::setenv("LISTEN_FDS", "2", 1);
        ::setenv("LISTEN_FDNAMES", "milter:metrics", 1);
        auto sockets = SystemdSockets::take();
        auto metrics = sockets.claim("metrics");
        auto milter = sockets.claim("milter");
        bool const good = milter && milter->get() == 3 && metrics && metrics->get() == 4 &&
                          !sockets.claim("milter") && sockets.empty() &&
                          std::getenv("LISTEN_FDS") == nullptr &&
                          Listener::adopt(std::move(*milter), *parse_address("systemd:milter"));
        ::_exit(good ? 0 : 1);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    CHECK(status == 0);

    ::setenv("LISTEN_PID", "1", 1);
    ::setenv("LISTEN_FDS", "1", 1);
    CHECK(SystemdSockets::take().empty());
}

TEST_CASE("a descriptor that does not listen is not adopted") {
    CHECK_FALSE(Listener::adopt(Descriptor(::socket(AF_UNIX, SOCK_STREAM, 0)), *parse_address("systemd:x")));
    CHECK_FALSE(Listener::adopt(Descriptor(::dup(0)), *parse_address("systemd:x")));
}
