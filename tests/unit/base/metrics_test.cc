// The text that Prometheus reads.
#include "common/base/metrics.h"

#include "tests/unit/support/catch.h"

using namespace postern;

TEST_CASE("metrics are written in Prometheus' text format, series by label") {
    Metrics metrics;
    metrics.counter("checks_total", "Checks.", "result=\"pass\"").add(2);
    metrics.counter("checks_total", "Checks.", "result=\"fail\"").add();
    metrics.gauge("connections", "Open connections.").set(3);
    CHECK(metrics.text() ==
          "# HELP checks_total Checks.\n# TYPE checks_total counter\n"
          "checks_total{result=\"fail\"} 1\nchecks_total{result=\"pass\"} 2\n"
          "# HELP connections Open connections.\n# TYPE connections gauge\nconnections 3\n");
}

TEST_CASE("a histogram counts into cumulative buckets") {
    Metrics metrics;
    auto& histogram = metrics.histogram("seconds", "Time.");
    histogram.observe(0.0002);
    histogram.observe(2.0);
    histogram.observe(100.0);
    auto const text = metrics.text();
    CHECK(text.find("seconds_bucket{le=\"0.0001\"} 0\n") != std::string::npos);
    CHECK(text.find("seconds_bucket{le=\"0.0005\"} 1\n") != std::string::npos);
    CHECK(text.find("seconds_bucket{le=\"5\"} 2\n") != std::string::npos);
    CHECK(text.find("seconds_bucket{le=\"+Inf\"} 3\n") != std::string::npos);
    CHECK(text.find("seconds_count 3\n") != std::string::npos);
}
