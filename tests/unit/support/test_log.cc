// The keeping log.
#include "tests/unit/support/test_log.h"

#include <fmt/format.h>

#include <utility>

namespace postern::test {

namespace {

struct Unexpected {
    std::mutex mutex; // guards lines
    std::vector<std::string> lines;
};
Unexpected& unexpected() {
    static Unexpected all; // tests only: the listener has no other way to meet the logs
    return all;
}

} // namespace

TestLog::~TestLog() {
    auto& all = unexpected();
    std::lock_guard const lock(all.mutex);
    for (auto const& line : lines_)
        if (line.level >= LogLevel::warning && !line.expected)
            all.lines.push_back(fmt::format("{}: {}", to_string(line.level), line.text));
}

std::vector<TestLog::Line> TestLog::lines() const {
    std::lock_guard const lock(mutex_);
    return lines_;
}

bool TestLog::expect(std::string_view text) {
    std::lock_guard const lock(mutex_);
    bool found = false;
    for (auto& line : lines_)
        if (line.text.find(text) != std::string::npos) found = line.expected = true;
    return found;
}

bool TestLog::contains(std::string_view text) const {
    std::lock_guard const lock(mutex_);
    for (auto const& line : lines_)
        if (line.text.find(text) != std::string::npos) return true;
    return false;
}

std::string TestLog::all() const {
    std::lock_guard const lock(mutex_);
    std::string out;
    for (auto const& line : lines_) out += fmt::format("{}: {}\n", to_string(line.level), line.text);
    return out;
}

void TestLog::put(LogLevel level, std::string_view line) {
    std::lock_guard const lock(mutex_);
    lines_.push_back({level, std::string(line)});
}

std::vector<std::string> take_unexpected_lines() {
    auto& all = unexpected();
    std::lock_guard const lock(all.mutex);
    return std::exchange(all.lines, {});
}

} // namespace postern::test
