// Listening for changes: what is heard, and what may have been missed.
#include "common/sql/notifications.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/test_log.h"

#include <condition_variable>
#include <deque>
#include <mutex>

using namespace postern;
using namespace std::chrono_literals;

namespace {

// What the connections give, one step after the other: "up" (a connection is made), "down" (it is not),
// "lost", or a payload. When all is told, silence.
struct Script {
    std::mutex mutex;
    std::condition_variable changed;
    std::deque<std::string> steps;
    std::vector<std::string> heard; // "?" for what may have been missed

    std::string next() {
        std::lock_guard const lock(mutex);
        if (steps.empty()) return "";
        auto step = steps.front();
        steps.pop_front();
        return step;
    }
    std::vector<std::string> wait_for(std::size_t count) {
        std::unique_lock lock(mutex);
        changed.wait_for(lock, 20s, [&] { return heard.size() >= count && steps.empty(); });
        return heard;
    }
};

class Source : public sql::NotificationSource {
  public:
    explicit Source(Script& script) : script_(script) {}
    Result<std::vector<std::string>> wait(int) override {
        auto const step = script_.next();
        if (step == "lost") return temporary("connection reset");
        return step.empty() ? std::vector<std::string>() : std::vector<std::string>{step};
    }

  private:
    Script& script_;
};

} // namespace

TEST_CASE("Payloads are heard in turn, and each new connection says that one may have been missed") {
    Script script;
    test::TestLog log;
    script.steps = {"up", "a", "b", "lost", "down", "down", "up", "c"};
    {
        sql::Notifications const notifications(
            {.servers = std::vector<sql::ServerSettings>(1),
             .channel = "maps",
             .retry_interval = 1ms,
             .connector = [&](auto const&, auto const& channel,
                              auto) -> Result<std::unique_ptr<sql::NotificationSource>> {
                 if (script.next() != "up" || channel != "maps") return temporary("connection refused");
                 return std::make_unique<Source>(script);
             }},
            [&](std::optional<std::string> const& payload) {
                std::lock_guard const lock(script.mutex);
                script.heard.push_back(payload.value_or("?"));
                script.changed.notify_all();
            },
            log);
        CHECK(script.wait_for(5) == std::vector<std::string>{"?", "a", "b", "?", "c"});
    }
    CHECK(log.expect("LISTEN maps: connection reset; changes in the database show late until it is back"));
}
