// What was answered for a message before: its recipients come one after another with the same instance.
#pragma once

#include "policyd-spf/answers.h"

#include <deque>
#include <string>
#include <string_view>

namespace postern::policyd_spf {

// One connection's memory. Postfix asks for all recipients of a message over one connection before the next
// message, so that a few are enough.
class Instances {
  public:
    static constexpr std::size_t limit = 64; // the oldest goes

    struct Entry {
        std::string instance;
        Answer answer;
        std::string shown; // how debugLevel 4 shows it; empty below that
    };
    Entry const* find(std::string_view instance) const;
    void remember(std::string_view instance, Answer answer, std::string shown = {});
    std::size_t size() const { return entries_.size(); }

  private:
    std::deque<Entry> entries_; // the newest last
};

} // namespace postern::policyd_spf
