// The registry and its text.
#include "common/base/metrics.h"

#include <fmt/format.h>

#include <array>
#include <iterator>

namespace postern {

namespace {

constexpr std::array bucket_bounds{0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0};

std::string with_labels(std::string_view name, std::string_view labels) {
    return labels.empty() ? std::string(name) : fmt::format("{}{{{}}}", name, labels);
}

void append_header(std::string& out, std::string_view name, std::string_view help, std::string_view type) {
    fmt::format_to(std::back_inserter(out), "# HELP {} {}\n# TYPE {} {}\n", name, help, name, type);
}

void append_histogram(std::string& out, std::string_view name, std::string_view labels,
                      Histogram const& histogram) {
    auto const buckets = histogram.buckets();
    std::string_view const comma = labels.empty() ? "" : ",";
    std::uint64_t total = 0;
    for (std::size_t i = 0; i < buckets.size(); ++i) {
        total += buckets[i];
        auto const bound = i < bucket_bounds.size() ? fmt::format("{}", bucket_bounds[i]) : "+Inf";
        fmt::format_to(std::back_inserter(out), "{}_bucket{{{}{}le=\"{}\"}} {}\n", name, labels, comma, bound,
                       total);
    }
    fmt::format_to(std::back_inserter(out), "{} {}\n", with_labels(fmt::format("{}_sum", name), labels),
                   histogram.sum());
    fmt::format_to(std::back_inserter(out), "{} {}\n", with_labels(fmt::format("{}_count", name), labels),
                   total);
}

} // namespace

std::span<double const> Histogram::bounds() { return bucket_bounds; }

void Histogram::observe(double seconds) {
    std::size_t i = 0;
    while (i < bucket_bounds.size() && seconds > bucket_bounds[i]) ++i;
    buckets_[i].fetch_add(1, std::memory_order_relaxed);
    if (seconds > 0)
        sum_microseconds_.fetch_add(static_cast<std::uint64_t>(seconds * 1e6), std::memory_order_relaxed);
}

std::vector<std::uint64_t> Histogram::buckets() const {
    std::vector<std::uint64_t> out;
    for (auto const& bucket : buckets_) out.push_back(bucket.load(std::memory_order_relaxed));
    return out;
}

double Histogram::sum() const {
    return static_cast<double>(sum_microseconds_.load(std::memory_order_relaxed)) / 1e6;
}

template <class T>
T& Metrics::series(Families<T>& families, std::string_view name, std::string_view help,
                   std::string_view labels) {
    std::lock_guard const lock(mutex_);
    auto family = families.find(name);
    if (family == families.end()) family = families.emplace(std::string(name), Family<T>{}).first;
    family->second.help = help;
    return family->second.series[std::string(labels)];
}

Counter& Metrics::counter(std::string_view name, std::string_view help, std::string_view labels) {
    return series(counters_, name, help, labels);
}

Gauge& Metrics::gauge(std::string_view name, std::string_view help, std::string_view labels) {
    return series(gauges_, name, help, labels);
}

Histogram& Metrics::histogram(std::string_view name, std::string_view help, std::string_view labels) {
    return series(histograms_, name, help, labels);
}

std::string Metrics::text() const {
    std::lock_guard const lock(mutex_);
    std::string out;
    for (auto const& [name, family] : counters_) {
        append_header(out, name, family.help, "counter");
        for (auto const& [labels, counter] : family.series)
            fmt::format_to(std::back_inserter(out), "{} {}\n", with_labels(name, labels), counter.value());
    }
    for (auto const& [name, family] : gauges_) {
        append_header(out, name, family.help, "gauge");
        for (auto const& [labels, gauge] : family.series)
            fmt::format_to(std::back_inserter(out), "{} {}\n", with_labels(name, labels), gauge.value());
    }
    for (auto const& [name, family] : histograms_) {
        append_header(out, name, family.help, "histogram");
        for (auto const& [labels, histogram] : family.series) append_histogram(out, name, labels, histogram);
    }
    return out;
}

} // namespace postern
