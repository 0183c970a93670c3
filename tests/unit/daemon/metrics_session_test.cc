// The metrics page over HTTP.
#include "common/daemon/metrics_session.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/replay.h"

using namespace postern;
using namespace postern::daemon;

namespace {

struct Fixture {
    Metrics metrics;
    test::MakeSession make = [this] { return std::make_unique<MetricsSession>(metrics); };
};

} // namespace

TEST_CASE("GET /metrics gives the metrics however the request is cut") {
    Fixture f;
    f.metrics.counter("checks_total", "Checks.").add(7);
    auto const answer = test::replay_in_all_pieces(f.make, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
    CHECK(
        answer.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
    CHECK(answer.find("checks_total 7\n") != std::string::npos);
    CHECK(answer.ends_with("<closed>"));
}

TEST_CASE("other paths, methods and endless requests are refused") {
    Fixture f;
    CHECK(test::replay(*f.make(), "GET /x HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 404 "));
    CHECK(test::replay(*f.make(), "POST /metrics HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 405 "));
    CHECK(test::replay(*f.make(), "\n\n").starts_with("HTTP/1.1 405 "));
    CHECK(test::replay(*f.make(), std::string(MetricsSession::max_request, 'x')).empty());
    CHECK(test::replay(*f.make(), std::string(MetricsSession::max_request + 1, 'x'))
              .starts_with("HTTP/1.1 431 "));
}
