// GET /metrics over HTTP/1.1, for Prometheus.
#pragma once

#include "common/base/metrics.h"
#include "common/net/server.h"

namespace postern::daemon {

class MetricsSession final : public net::Session {
  public:
    static constexpr std::size_t max_request = 8192; // octets of request line and headers

    explicit MetricsSession(Metrics const& metrics) : metrics_(metrics) {}
    Result<std::string> receive(std::string_view bytes) override;
    bool finished() const override { return finished_; }

  private:
    std::string answer() const;

    Metrics const& metrics_;
    std::string request_;
    bool finished_ = false;
};

} // namespace postern::daemon
