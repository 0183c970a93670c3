// What a decision has to say to the log, and whether a lookup failed on the way to it.
#pragma once

#include "common/base/error.h"
#include "common/base/log.h"

#include <string>
#include <utility>
#include <vector>

namespace postern::milter_dkim {

// A line for the log; why-lines are written only with LogWhy.
struct ReasonLine {
    LogLevel level;
    std::string text;
    bool why = false;
};

class Reasons {
  public:
    void say(LogLevel level, std::string text) { lines_.push_back({level, std::move(text), false}); }
    void why(std::string text) { lines_.push_back({LogLevel::info, std::move(text), true}); }
    // A lookup that failed makes the whole decision temporary: guessing would send mail unsigned.
    bool yes(Result<bool> const& answer) {
        if (answer) return *answer;
        say(LogLevel::error, answer.error().text);
        failed_ = true;
        return false;
    }
    bool failed() const { return failed_; }
    std::vector<ReasonLine> take() { return std::move(lines_); }

  private:
    std::vector<ReasonLine> lines_;
    bool failed_ = false;
};

} // namespace postern::milter_dkim
