// Streams: deadlines, ends, lines.
#include "common/net/stream.h"

#include "common/net/listener.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <sys/socket.h>

#include <array>

using namespace postern;
using namespace postern::net;
using namespace std::chrono_literals;

namespace {

std::pair<Stream, Stream> stream_pair() {
    std::array<int, 2> fds{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM, 0, fds.data()) == 0);
    return {Stream(Descriptor(fds[0])), Stream(Descriptor(fds[1]))};
}

} // namespace

TEST_CASE("a read that gets nothing ends at its deadline as temporary") {
    auto [a, b] = stream_pair();
    std::array<char, 10> buffer{};
    CHECK(a.read(buffer, Deadline::after(1ms)).error().kind == ErrorKind::temporary);
}

TEST_CASE("the peer's end is closed, not temporary") {
    auto [a, b] = stream_pair();
    b = Stream(Descriptor(::dup(0)));
    std::array<char, 10> buffer{};
    CHECK(a.read(buffer, Deadline::after(5s)).error().kind == ErrorKind::closed);
    CHECK(a.write("x", Deadline::after(5s)).error().kind == ErrorKind::closed);
}

TEST_CASE("a write to a peer that does not read ends at its deadline") {
    auto [a, b] = stream_pair();
    CHECK(a.write(std::string(10 << 20, 'x'), Deadline::after(10ms)).error().kind == ErrorKind::temporary);
}

TEST_CASE("lines come without their ends, and one octet too many is malformed") {
    auto [a, b] = stream_pair();
    REQUIRE(b.write("one\r\ntwo\n12345\n123456\n", Deadline::after(5s)));
    CHECK(a.read_line(5, Deadline::after(5s)) == "one");
    CHECK(a.read_line(5, Deadline::after(5s)) == "two");
    CHECK(a.read_line(5, Deadline::after(5s)) == "12345");
    CHECK(a.read_line(5, Deadline::after(5s)).error().kind == ErrorKind::malformed);
}

TEST_CASE("connecting to nobody is temporary and names the address") {
    test::TempDir const dir;
    auto const path = dir.path("none.sock");
    auto const stream = connect({Address::Kind::unix_socket, path, {}, 0}, Deadline::after(5s));
    REQUIRE_FALSE(stream);
    CHECK(stream.error().kind == ErrorKind::temporary);
    CHECK(stream.error().text == "unix:" + path + ": connect: No such file or directory");
}

TEST_CASE("a connection over loopback carries octets both ways") {
    auto listener = Listener::open(*parse_listen_address("inet:0@127.0.0.1"));
    REQUIRE(listener);
    auto stream = connect({Address::Kind::inet, {}, "127.0.0.1", listener->port()}, Deadline::after(5s));
    REQUIRE(stream);
    CHECK(stream->write("hello\n", Deadline::after(5s)));
}
