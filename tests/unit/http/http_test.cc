// HTTP requests: what is sent, and the bounds on what comes back.
#include "common/http/http.h"

#include "common/net/descriptor.h"
#include "tests/unit/support/catch.h"

#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

using namespace postern;

namespace {

constexpr std::string_view slow_name = "slow.dns.example";

// What getaddrinfo(3) waits for when it is asked for slow_name.
struct SlowDns {
    std::mutex mutex;
    std::condition_variable changed;
    bool released = false, gave_up = false, ended = false;

    void reset() {
        std::lock_guard const lock(mutex);
        released = gave_up = ended = false;
    }
    void wait() {
        std::unique_lock lock(mutex);
        gave_up = !changed.wait_for(lock, std::chrono::seconds(10), [this] { return released; });
        ended = true;
        changed.notify_all();
    }
    // True: it was waiting, or had not begun.
    bool let_go() {
        std::unique_lock lock(mutex);
        released = true;
        changed.notify_all();
        changed.wait_for(lock, std::chrono::seconds(10), [this] { return ended; });
        return !gave_up;
    }
} slow_dns;

// Answers one request after the other with the same text, and keeps the last request. Silent: it never
// answers.
class OneAnswer {
  public:
    explicit OneAnswer(std::string answer)
        : answer_(std::move(answer)), fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof address;
        REQUIRE(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
        REQUIRE(::listen(fd_.get(), 8) == 0);
        REQUIRE(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
        port_ = ntohs(address.sin_port);
        thread_ = std::thread([this] { serve(); });
    }
    ~OneAnswer() {
        ::shutdown(fd_.get(), SHUT_RDWR);
        thread_.join();
    }
    std::string url(std::string const& path) const {
        return "http://127.0.0.1:" + std::to_string(port_) + path;
    }
    std::string last_request; // to be read after an answer has come

  private:
    void serve() {
        while (true) {
            net::Descriptor const peer(::accept(fd_.get(), nullptr, nullptr));
            if (!peer) return;
            std::string request;
            while (!is_whole(request)) {
                char buffer[4096];
                auto const n = ::read(peer.get(), buffer, sizeof buffer);
                if (n <= 0) break;
                request.append(buffer, static_cast<std::size_t>(n));
            }
            last_request = request;
            if (answer_.empty()) { // until the client goes
                pollfd waiting{peer.get(), POLLIN, 0};
                ::poll(&waiting, 1, 10'000);
                continue;
            }
            std::string_view rest = answer_;
            while (!rest.empty()) {
                auto const n = ::send(peer.get(), rest.data(), rest.size(), MSG_NOSIGNAL);
                if (n <= 0) break;
                rest.remove_prefix(static_cast<std::size_t>(n));
            }
        }
    }
    static bool is_whole(std::string const& request) {
        auto const end = request.find("\r\n\r\n");
        if (end == std::string::npos) return false;
        auto const length = request.find("Content-Length: ");
        return length == std::string::npos ||
               request.size() >= end + 4 + std::stoul(request.substr(length + 16));
    }

    std::string const answer_;
    net::Descriptor fd_;
    std::uint16_t port_ = 0;
    std::thread thread_;
};

std::string answer(std::string const& status, std::string const& body, std::string const& more = "") {
    return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more +
           "Connection: close\r\n\r\n" + body;
}

using Resolve = int (*)(char const*, char const*, addrinfo const*, addrinfo**);

Deadline soon() { return Deadline::after(std::chrono::seconds(10)); }

} // namespace

// In place of the library's, for libcurl too.
extern "C" int getaddrinfo(char const* name, char const* service, addrinfo const* hints, addrinfo** result) {
    if (name != nullptr && name == slow_name) {
        slow_dns.wait();
        return EAI_AGAIN;
    }
    static auto const real = reinterpret_cast<Resolve>(::dlsym(RTLD_NEXT, "getaddrinfo"));
    return real(name, service, hints, result);
}

TEST_CASE("a GET carries its headers and the answer's status and body come back") {
    OneAnswer server(answer("401 Unauthorized", "{}"));
    auto const client = http::make_client({}, "test-agent");
    http::Request request;
    request.url = server.url("/info?token=x");
    request.headers = {"Authorization: Bearer abc"};
    auto const got = client->send(request, soon());
    REQUIRE(got);
    CHECK(got->status == 401);
    CHECK(got->body == "{}");
    CHECK(server.last_request.starts_with("GET /info?token=x HTTP/1.1\r\n"));
    CHECK(server.last_request.contains("Authorization: Bearer abc\r\n"));
    CHECK(server.last_request.contains("User-Agent: test-agent\r\n"));
}

TEST_CASE("a POST carries its body, and the URL's user becomes the authorization") {
    OneAnswer server(answer("200 OK", "ok"));
    auto const client = http::make_client({}, "t");
    http::Request request;
    request.url = "http://id:secret@" + server.url("/x").substr(7);
    request.content_type = "application/json";
    request.body = "{\"a\":1}";
    REQUIRE(client->send(request, soon()));
    CHECK(server.last_request.starts_with("POST /x HTTP/1.1\r\n"));
    CHECK(server.last_request.contains("Authorization: Basic aWQ6c2VjcmV0\r\n"));
    CHECK(server.last_request.contains("Content-Type: application/json\r\n"));
    CHECK(server.last_request.ends_with("\r\n\r\n{\"a\":1}"));
}

TEST_CASE("a redirect is an answer and is not followed") {
    OneAnswer server(answer("302 Found", "", "Location: http://127.0.0.1:1/elsewhere\r\n"));
    auto const client = http::make_client({}, "t");
    auto const got =
        client->send({.url = server.url("/"), .headers = {}, .content_type = {}, .body = {}}, soon());
    REQUIRE(got);
    CHECK(got->status == 302);
}

TEST_CASE("an answer at the limit is taken and one past it is a temporary failure") {
    auto const client = http::make_client({}, "t");
    for (auto const more : {0U, 1U}) {
        OneAnswer server(answer("200 OK", std::string(http::answer_limit + more, 'x')));
        auto const got =
            client->send({.url = server.url("/"), .headers = {}, .content_type = {}, .body = {}}, soon());
        if (more == 0) {
            REQUIRE(got);
            CHECK(got->body.size() == http::answer_limit);
        } else {
            REQUIRE(!got);
            CHECK(got.error().kind == ErrorKind::temporary);
            CHECK(got.error().text.ends_with("the answer has more than 65536 octets"));
        }
    }
}

TEST_CASE("a server that is silent, away or speaks something else is a temporary failure") {
    auto const client = http::make_client({}, "t");
    auto const kind = [&](std::string const& url, Deadline deadline) {
        auto const got = client->send({.url = url, .headers = {}, .content_type = {}, .body = {}}, deadline);
        return got ? "an answer" : to_string(got.error().kind);
    };
    OneAnswer silent("");
    CHECK(kind(silent.url("/"), Deadline::after(std::chrono::milliseconds(50))) == "temporary");
    CHECK(kind("http://127.0.0.1:1/", soon()) == "temporary");
    OneAnswer odd("SMTP ready\r\n");
    CHECK(kind(odd.url("/"), soon()) == "temporary");
    OneAnswer cut("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    CHECK(kind(cut.url("/"), soon()) == "temporary");
    CHECK(kind(cut.url("/"), Deadline::after(std::chrono::milliseconds(0))) == "temporary");
    CHECK(kind("file:///etc/passwd", soon()) == "temporary");
}

TEST_CASE("DNS that does not answer ends with the deadline") {
    slow_dns.reset();
    auto const client = http::make_client({}, "t");
    auto const got = client->send(
        {.url = "http://" + std::string(slow_name) + "/", .headers = {}, .content_type = {}, .body = {}},
        Deadline::after(std::chrono::milliseconds(50)));
    CHECK(!got);
    CHECK(slow_dns.let_go()); // it was still asking
}

TEST_CASE("what the log shows of a URL has neither password nor path nor query") {
    CHECK(http::server_part("http://a.example") == "http://a.example");
    CHECK(http::server_part("nonsense") == "");
    CHECK(http::server_part("https://id:secret@auth.example:8443/info/token?x") ==
          "https://auth.example:8443");
    CHECK(http::server_part("http://a.example?token") == "http://a.example");
    auto const failed = http::make_client({}, "t")->send(
        {.url = "http://127.0.0.1:1/info/token", .headers = {}, .content_type = {}, .body = {}}, soon());
    REQUIRE(!failed);
    CHECK(failed.error().text.starts_with("http://127.0.0.1:1: "));
    CHECK(!failed.error().text.contains("token"));
    CHECK(http::has_user("https://id:secret@auth.example/"));
    CHECK(!http::has_user("https://auth.example/a@b"));
}

TEST_CASE("only http and https with a host are URLs to ask") {
    CHECK(http::is_usable_url("http://auth.example/x?token="));
    CHECK(http::is_usable_url("HTTPS://id:pw@[::1]:8443/"));
    for (auto const* url :
         {"", "ftp://x/", "http://", "http:///x", "auth.example", "http://a b/", "http://u@/x"})
        CHECK(!http::is_usable_url(url));
}

TEST_CASE("percent encoding leaves only unreserved characters") {
    std::string text = "token=";
    http::append_percent_encoded(text, "aZ0-._~ &=+/%\xff");
    CHECK(text == "token=aZ0-._~%20%26%3D%2B%2F%25%FF");
}
