// Time: deadlines on the steady clock for waiting, and the wall clock for what is written down.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern {

// A point after which a wait is given up. Every wait on a peer, a database or the DNS has one.
class Deadline {
  public:
    using Clock = std::chrono::steady_clock;

    static Deadline after(std::chrono::milliseconds span) { return Deadline(Clock::now() + span); }
    static Deadline at(Clock::time_point point) { return Deadline(point); }
    static Deadline never() { return Deadline(Clock::time_point::max()); }

    bool is_never() const { return point_ == Clock::time_point::max(); }
    bool expired() const { return !is_never() && Clock::now() >= point_; }
    Clock::time_point point() const { return point_; }
    // What is left, rounded up, at least 0.
    std::chrono::milliseconds remaining() const;
    // For poll(2): milliseconds, 0 when expired, -1 for never.
    int poll_timeout() const;
    // Whichever comes first.
    Deadline or_after(std::chrono::milliseconds span) const;
    static Deadline earlier(Deadline a, Deadline b) { return a.point_ < b.point_ ? a : b; }

  private:
    explicit Deadline(Clock::time_point point) : point_(point) {}
    Clock::time_point point_;
};

std::int64_t unix_time();                            // seconds since 1970, UTC
std::string rfc5322_date(std::int64_t unix_seconds); // "Sat, 21 Nov 2026 05:51:19 +0000", always UTC

// A span as Postfix and Dovecot write it: a number with an optional unit s, m, h, d, w, ms; "2 secs",
// "15min". default_unit applies to a bare number.
std::optional<std::chrono::milliseconds>
parse_duration(std::string_view text, std::chrono::milliseconds default_unit = std::chrono::seconds(1));

} // namespace postern
