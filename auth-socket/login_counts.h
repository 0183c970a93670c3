// How logins come out, for Prometheus.
#pragma once

#include "auth-socket/request.h"
#include "common/base/metrics.h"

#include <array>
#include <map>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// Thread-safe.
class LoginCounts {
  public:
    explicit LoginCounts(Metrics& metrics);
    // mechanism: in capitals; one that is not known is not counted.
    void count(std::string_view mechanism, Verdict verdict) const;

  private:
    using ByVerdict = std::array<Counter*, static_cast<std::size_t>(Verdict::temporary) + 1>;
    std::map<std::string, ByVerdict, std::less<>> counters_;
};

} // namespace postern::auth_socket
