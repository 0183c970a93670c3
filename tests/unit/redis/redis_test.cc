// A connection to a Redis that is hostile or broken: bounded in time and memory, whatever it sends.
#include "common/redis/redis.h"

#include "common/net/descriptor.h"
#include "tests/unit/support/catch.h"
#include "tests/unit/support/slow_dns.h"
#include "tests/unit/support/temp_dir.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

using namespace postern;
using namespace std::chrono_literals;

namespace {

// Answers the first command of each connection with one text, then with nothing; or with the text for ever.
class Server {
  public:
    explicit Server(std::string answer, bool for_ever = false, bool in_octets = false)
        : answer_(std::move(answer)), for_ever_(for_ever), in_octets_(in_octets),
          fd_(::socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
        REQUIRE(::listen(fd_.get(), 8) == 0);
        thread_ = std::thread([this] { serve(); });
    }
    ~Server() {
        stopping_ = true;
        ::shutdown(fd_.get(), SHUT_RDWR);
        thread_.join();
    }
    // What the first command gets.
    Result<redis::Reply> answer(std::chrono::milliseconds time = 10s) const {
        auto connection =
            redis::connect({.path = path, .host = "", .user = "", .password = ""}, Deadline::after(10s));
        REQUIRE(connection);
        std::vector<std::string> const words{"PING"};
        return (*connection)->command(words, Deadline::after(time));
    }

    postern::test::TempDir directory;
    std::string const path = directory.path("redis");

  private:
    bool sent(int peer, std::string_view text) const {
        while (!text.empty() && !stopping_) {
            auto const n = ::send(peer, text.data(), in_octets_ ? 1 : text.size(), MSG_NOSIGNAL);
            if (n <= 0) return false;
            text.remove_prefix(static_cast<std::size_t>(n));
            pollfd gone{peer, 0, 0};
            if (in_octets_ && ::poll(&gone, 1, 20) != 0) return false;
        }
        return true;
    }
    void serve() const {
        while (true) {
            net::Descriptor const peer(::accept(fd_.get(), nullptr, nullptr));
            if (!peer) return;
            char command[4096];
            if (::read(peer.get(), command, sizeof command) <= 0) continue;
            while (sent(peer.get(), answer_) && for_ever_ && !stopping_) {
            }
            pollfd waiting{peer.get(), POLLIN, 0};
            ::poll(&waiting, 1, 10'000);
        }
    }

    std::string const answer_;
    bool const for_ever_, in_octets_;
    std::atomic<bool> stopping_ = false;
    net::Descriptor fd_;
    std::thread thread_;
};

std::string array_of(std::size_t size, std::string_view element) {
    auto text = "*" + std::to_string(size) + "\r\n";
    for (std::size_t i = 0; i < size; ++i) text += element;
    return text;
}

std::string bulk(std::size_t size) {
    return "$" + std::to_string(size) + "\r\n" + std::string(size, 'x') + "\r\n";
}

} // namespace

TEST_CASE("a reply comes back as it was sent, in pieces of one octet, too") {
    for (auto const in_octets : {false, true}) {
        Server const server("*5\r\n:-7\r\n$-1\r\n$3\r\na\r\n\r\n+OK\r\n*1\r\n-ERR x\r\n", false, in_octets);
        auto const reply = server.answer();
        REQUIRE(reply);
        using Kind = redis::Reply::Kind;
        REQUIRE(reply->kind == Kind::array);
        auto const& values = reply->array;
        REQUIRE(values.size() == 5);
        CHECK(values[0].integer == -7);
        CHECK(values[1].kind == Kind::nil);
        CHECK(values[2].text == "a\r\n");
        CHECK(values[3].text == "OK");
        REQUIRE(values[4].array.size() == 1);
        CHECK(values[4].array[0].kind == Kind::error);
    }
}

TEST_CASE("a refused command is a permanent error with the server's words") {
    auto const refused = Server("-NOAUTH Authentication required.\r\n").answer();
    REQUIRE_FALSE(refused);
    CHECK(refused.error().kind == ErrorKind::permanent);
    CHECK(refused.error().text == "NOAUTH Authentication required.");
}

TEST_CASE("a text at its limit is read, and one past it is left out without the rest") {
    redis::ReplyLimits const limits;
    auto const reply = Server("*3\r\n" + bulk(limits.text) + bulk(limits.text + 1) + ":1\r\n").answer();
    REQUIRE(reply);
    CHECK(reply->array.at(0).text.size() == limits.text);
    CHECK(reply->array.at(1).kind == redis::Reply::Kind::too_long);
    CHECK(reply->array.at(1).text.empty());
    CHECK(reply->array.at(2).integer == 1);
}

TEST_CASE("as many values as the limit are read, and one more ends the connection") {
    redis::ReplyLimits const limits;
    auto const most = Server(array_of(limits.values - 1, ":1\r\n")).answer();
    REQUIRE(most);
    CHECK(most->array.size() == limits.values - 1);
    for (auto const& text : {array_of(limits.values, ":1\r\n"), std::string("*2147483647\r\n"),
                             "*2\r\n" + array_of(limits.values - 3, ":1\r\n") + "*2\r\n"}) {
        auto const beyond = Server(text).answer();
        REQUIRE_FALSE(beyond);
        CHECK(beyond.error().kind == ErrorKind::malformed);
        CHECK(beyond.error().text == "a reply beyond its limits");
    }
}

TEST_CASE("an endless reply, one nested without end and what is no reply end the connection") {
    std::string nested;
    for (int i = 0; i < 100; ++i) nested += "*1\r\n";
    Server const endless("$500000000\r\n" + std::string(65536, 'x'), true), deep(nested),
        foreign("HTTP/1.1 400 Bad Request\r\n\r\n");
    for (auto const* server : {&endless, &deep, &foreign}) {
        auto const reply = server->answer();
        REQUIRE_FALSE(reply);
        CHECK(reply.error().kind == ErrorKind::malformed);
    }
}

TEST_CASE("a reply that comes too slowly is none, however often an octet of it comes") {
    Server const server(bulk(4096), false, true);
    auto const reply = server.answer(200ms);
    REQUIRE_FALSE(reply);
    CHECK(reply.error().kind == ErrorKind::temporary);
    CHECK(reply.error().text == "no reply in time");
}

TEST_CASE("a name that DNS does not answer for is waited for until the deadline only") {
    auto const connection = redis::connect(
        {.path = "", .host = std::string(postern::test::slow_name), .user = "", .password = ""},
        Deadline::after(50ms));
    REQUIRE_FALSE(connection);
    CHECK(connection.error().text == "slow.dns.example: no address in time");
    postern::test::let_slow_dns_go();
}

TEST_CASE("a server that is not there is an error that says so") {
    postern::test::TempDir const directory;
    auto const nobody = redis::connect(
        {.path = directory.path("none"), .host = "", .user = "", .password = ""}, Deadline::after(10s));
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().kind == ErrorKind::temporary);
}
