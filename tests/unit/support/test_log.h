// A log that keeps its lines; a test case that leaves a warning or an error unexpected fails.
#pragma once

#include "common/base/log.h"

#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace postern::test {

class TestLog final : public Log {
  public:
    TestLog() { set_threshold(LogLevel::debug); }
    ~TestLog() override; // counts unexpected warnings and errors against the running test case

    struct Line {
        LogLevel level;
        std::string text;
        bool expected = false;
    };
    std::vector<Line> lines() const;
    // True, and those lines are expected from now on, when at least one line contains the text.
    bool expect(std::string_view text);
    bool contains(std::string_view text) const;
    std::string all() const; // one line each, for INFO()

  protected:
    void put(LogLevel level, std::string_view line) override;

  private:
    mutable std::mutex mutex_; // guards lines_
    std::vector<Line> lines_;
};

// What destroyed logs left unexpected since the last call; the test runner's listener fails the case with it.
std::vector<std::string> take_unexpected_lines();

} // namespace postern::test
