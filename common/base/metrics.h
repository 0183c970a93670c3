// Counters, gauges and histograms in Prometheus' text format (version 0.0.4).
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern {

class Counter {
  public:
    void add(std::uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
    std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::uint64_t> value_{0};
};

class Gauge {
  public:
    void set(std::int64_t value) { value_.store(value, std::memory_order_relaxed); }
    void add(std::int64_t n) { value_.fetch_add(n, std::memory_order_relaxed); }
    std::int64_t value() const { return value_.load(std::memory_order_relaxed); }

  private:
    std::atomic<std::int64_t> value_{0};
};

// Seconds, in buckets from 0.1 ms to 30 s.
class Histogram {
  public:
    static std::span<double const> bounds();
    Histogram() : buckets_(bounds().size() + 1) {}
    void observe(double seconds);
    std::vector<std::uint64_t> buckets() const; // not cumulative; the last is +Inf
    double sum() const;

  private:
    std::deque<std::atomic<std::uint64_t>> buckets_;
    std::atomic<std::uint64_t> sum_microseconds_{0};
};

// Owns every metric of a program. References stay valid as long as the registry. Names and labels come from
// the code, never from strangers, so the number of series is bounded.
class Metrics {
  public:
    // labels as they stand in the text: result="pass",scope="helo"; the same name and labels give the same
    // one.
    Counter& counter(std::string_view name, std::string_view help, std::string_view labels = {});
    Gauge& gauge(std::string_view name, std::string_view help, std::string_view labels = {});
    Histogram& histogram(std::string_view name, std::string_view help, std::string_view labels = {});

    std::string text() const;

  private:
    template <class T>
    struct Family {
        std::string help;
        std::map<std::string, T, std::less<>> series;
    };
    template <class T>
    using Families = std::map<std::string, Family<T>, std::less<>>;
    template <class T>
    T& series(Families<T>& families, std::string_view name, std::string_view help, std::string_view labels);

    mutable std::mutex mutex_; // guards the three maps, not the values in them
    Families<Counter> counters_;
    Families<Gauge> gauges_;
    Families<Histogram> histograms_;
};

} // namespace postern
