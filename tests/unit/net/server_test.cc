// The thread-per-connection server around a session that knows no socket.
#include "common/net/server.h"

#include "common/net/stream.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"
#include "tests/unit/support/test_log.h"

#include <fcntl.h>

#include <array>

using namespace postern;
using namespace postern::net;
using namespace std::chrono_literals;

namespace {

// Echoes; "quit" ends, "bad" is malformed, "throw" breaks, "later" answers from another thread, "busy" stays
// busy.
class Echo : public Session {
  public:
    explicit Echo(Waker waker) : waker_(std::move(waker)) {}
    ~Echo() override {
        if (helper_.joinable()) helper_.join();
    }
    std::string greeting() override { return "hello\n"; }
    Result<std::string> receive(std::string_view bytes) override {
        if (bytes.starts_with("bad")) return malformed("not a known word");
        if (bytes.starts_with("throw")) throw std::runtime_error("broken");
        if (bytes.starts_with("quit")) {
            finished_ = true;
            return "bye\n";
        }
        if (bytes.starts_with("later")) {
            busy_ = true;
            helper_ = std::thread([this] { waker_.wake(); });
            return "";
        }
        if (bytes.starts_with("busy")) {
            busy_ = true;
            return "working\n";
        }
        return std::string(bytes);
    }
    std::string farewell(Error const& error) override {
        return "sorry " + std::string(to_string(error.kind)) + "\n";
    }
    bool finished() const override { return finished_; }
    bool busy() const override { return busy_; }
    Result<std::string> wake() override {
        if (!helper_.joinable()) return "";
        busy_ = false;
        return "now\n";
    }

  private:
    Waker waker_;
    std::thread helper_;
    bool finished_ = false;
    std::atomic<bool> busy_ = false;
};

struct Fixture {
    test::TempDir dir;
    test::TestLog log;
    Metrics metrics;
    ServerLimits limits{.drain_timeout = 200ms};
    std::unique_ptr<Server> server;

    void start() {
        auto listener = Listener::open(*parse_listen_address("unix:" + dir.path("s.sock")));
        REQUIRE(listener);
        server = std::make_unique<Server>(
            std::move(*listener), limits,
            [](Peer const&, Waker waker) { return std::make_unique<Echo>(std::move(waker)); }, log, metrics,
            "echo");
        server->start();
    }
    Stream client() {
        auto stream = connect(*parse_address(dir.path("s.sock")), Deadline::after(10s));
        REQUIRE(stream);
        return std::move(*stream);
    }
};

std::string line(Stream& stream) {
    auto got = stream.read_line(100, Deadline::after(10s));
    return got ? *got : "<" + std::string(to_string(got.error().kind)) + ">";
}

void say(Stream& stream, std::string_view text) { REQUIRE(stream.write(text, Deadline::after(10s))); }

} // namespace

TEST_CASE("each connection gets its session's bytes and its end") {
    Fixture f;
    f.start();
    auto a = f.client();
    auto b = f.client();
    CHECK(line(a) == "hello");
    CHECK(line(b) == "hello");
    say(a, "one\n");
    CHECK(line(a) == "one");
    say(b, "quit\n");
    CHECK(line(b) == "bye");
    CHECK(line(b) == "<closed>");
    say(a, "two\n");
    CHECK(line(a) == "two");
}

TEST_CASE("malformed bytes get the farewell, one warning and the end, and the next client is served") {
    Fixture f;
    f.start();
    auto a = f.client();
    line(a);
    say(a, "bad\n");
    CHECK(line(a) == "sorry malformed");
    CHECK(line(a) == "<closed>");
    auto b = f.client();
    CHECK(line(b) == "hello");
    f.server->stop();
    CHECK(f.log.expect("not a known word"));
}

TEST_CASE("an exception ends its connection with an error line and no other connection") {
    Fixture f;
    f.start();
    auto a = f.client();
    auto b = f.client();
    line(a);
    line(b);
    say(a, "throw\n");
    CHECK(line(a) == "<closed>");
    say(b, "still\n");
    CHECK(line(b) == "still");
    f.server->stop();
    CHECK(f.log.expect("a failure of our own: broken"));
}

TEST_CASE("another thread wakes a session that then answers") {
    Fixture f;
    f.start();
    auto a = f.client();
    line(a);
    say(a, "later\n");
    CHECK(line(a) == "now");
}

TEST_CASE("an idle connection is ended at the idle time and a busy one is not") {
    Fixture f;
    f.limits.idle_timeout = 50ms;
    f.start();
    auto busy = f.client();
    line(busy);
    say(busy, "busy\n");
    CHECK(line(busy) == "working");
    auto idle = f.client();
    line(idle);
    CHECK(line(idle) == "sorry temporary");
    CHECK(line(idle) == "<closed>");
    say(busy, "still\n");
    CHECK(line(busy) == "still");
}

TEST_CASE("beyond the greatest number of connections the next one waits until one ends") {
    Fixture f;
    f.limits.max_connections = 1;
    f.start();
    auto a = f.client();
    CHECK(line(a) == "hello");
    auto b = f.client();
    CHECK(b.read_line(100, Deadline::after(20ms)).error().kind == ErrorKind::temporary);
    say(a, "quit\n");
    CHECK(line(a) == "bye");
    CHECK(line(b) == "hello");
}

TEST_CASE("stopping ends idle sessions politely and busy ones after their patience") {
    Fixture f;
    f.start();
    auto idle = f.client();
    auto busy = f.client();
    line(idle);
    line(busy);
    say(busy, "busy\n");
    line(busy);
    f.server->stop();
    CHECK(line(idle) == "sorry temporary");
    CHECK(line(busy) == "<closed>");
    CHECK_FALSE(connect(*parse_address(f.dir.path("s.sock")), Deadline::after(20ms)));
}

TEST_CASE("a peer that vanishes at any moment leaves the server serving") {
    Fixture f;
    f.start();
    for (int i = 0; i < 50; ++i) {
        auto a = f.client();
        if (i % 2 == 0) say(a, "half a requ");
    }
    auto b = f.client();
    CHECK(line(b) == "hello");
    CHECK(f.metrics.counter("postern_connections_total", "Connections accepted.", "listener=\"echo\"")
              .value() == 51);
}

TEST_CASE("a session runs over two pipes until the input ends") {
    std::array<int, 2> in{};
    std::array<int, 2> out{};
    REQUIRE(::pipe2(in.data(), O_CLOEXEC) == 0);
    REQUIRE(::pipe2(out.data(), O_CLOEXEC) == 0);
    REQUIRE(::write(in[1], "abc", 3) == 3);
    ::close(in[1]);
    Waker const waker;
    Echo session(waker);
    CHECK(run_session(session, in[0], out[1], ServerLimits{}));
    ::close(out[1]);
    std::array<char, 100> buffer{};
    auto const n = ::read(out[0], buffer.data(), buffer.size());
    CHECK(std::string_view(buffer.data(), static_cast<std::size_t>(n)) == "hello\nabc");
    ::close(in[0]);
    ::close(out[0]);
}
