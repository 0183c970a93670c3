// What is counted of the mail, for the metrics page.
#pragma once

#include "common/base/metrics.h"
#include "milter-dkim/results/results.h"
#include "milter-dkim/sign/keys.h"

#include <array>
#include <chrono>
#include <string_view>

namespace postern::milter_dkim {

double seconds_since(std::chrono::steady_clock::time_point began);

// The labels come from here, so that they are there from the start.
class Outcomes {
  public:
    // Whose domain a signature names: the author's or one above it, or another.
    enum class DomainClass { author, other };

    explicit Outcomes(Metrics& metrics);
    void count_signed(Algorithm algorithm);
    void count_signed_message() { signed_.add(); }
    void count_verified_message(bool has_signatures) { (has_signatures ? verified_ : unsigned_).add(); }
    // sender_domain: of From, lower case.
    void count(SignatureResult const& result, std::string_view sender_domain);
    void count_tempfail() { tempfails_.add(); }

    Histogram& signing_time;
    Histogram& verifying_time; // of the whole message, waits for the DNS included

  private:
    static constexpr std::size_t kinds = 6;
    Counter& signed_rsa_;
    Counter& signed_ed25519_;
    Counter& signed_;
    Counter& verified_;
    Counter& unsigned_;
    Counter& tempfails_;
    std::array<std::array<Counter*, kinds>, 2> results_; // by DomainClass and Kind
};

} // namespace postern::milter_dkim
