// Sockets as libmilter gets them.
#include "common/milter/listening.h"
#include "common/net/listener.h"
#include "tests/unit/support/catch.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

using namespace postern;

TEST_CASE("a connection accepted from a TCP listener answers without delay") {
    auto const address = net::parse_listen_address("inet:0@127.0.0.1");
    REQUIRE(address);
    auto const listener = net::Listener::open(*address);
    REQUIRE(listener);
    milter::answer_without_delay(listener->descriptor());

    net::Descriptor const client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_port = htons(listener->port());
    peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(client.get(), reinterpret_cast<sockaddr*>(&peer), sizeof peer) == 0);
    net::Descriptor const accepted(::accept4(listener->descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
    REQUIRE(accepted);
    int value = 0;
    socklen_t size = sizeof value;
    REQUIRE(::getsockopt(accepted.get(), IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0);
    CHECK(value != 0);
}
