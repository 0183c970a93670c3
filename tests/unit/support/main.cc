// Runs the cases of one folder and closes with a line that ./dev adds up: "cases: N passed, N failed[, N
// skipped]".
#define CATCH_CONFIG_RUNNER
#include "tests/unit/support/catch.h"

#include "tests/unit/support/skip.h"
#include "tests/unit/support/test_log.h"

#include <csignal>
#include <cstdio>

namespace {

#ifdef POSTERN_CATCH2_V3
using ListenerBase = Catch::EventListenerBase;
#else
using ListenerBase = Catch::TestEventListenerBase;
#endif

struct Totals {
    unsigned long passed = 0;
    unsigned long failed = 0;
    unsigned long skipped = 0;
};
Totals& totals() {
    static Totals counted;
    return counted;
}

// Counts cases, and fails one whose log holds a warning or an error that it did not expect.
class Listener : public ListenerBase {
  public:
    using ListenerBase::ListenerBase;
    void testCaseEnded(Catch::TestCaseStats const& stats) override {
#ifdef POSTERN_CATCH2_V3
        auto const& name = stats.testInfo->name;
#else
        auto const& name = stats.testInfo.name;
#endif
        auto const unexpected = postern::test::take_unexpected_lines();
        for (auto const& line : unexpected)
            std::printf("%s: unexpected in the log: %s\n", name.c_str(), line.c_str());
        auto const skip = postern::test::take_skip();
        bool const good = stats.totals.assertions.allOk() && unexpected.empty();
        if (good && !skip.empty()) {
            std::printf("SKIPPED: %s: %s\n", name.c_str(), skip.c_str());
            ++totals().skipped;
        } else if (good && stats.totals.assertions.total() > 0) {
            ++totals().passed;
        } else {
            ++totals().failed;
            if (stats.totals.assertions.total() == 0) std::printf("%s: asserts nothing\n", name.c_str());
        }
    }
};

} // namespace

CATCH_REGISTER_LISTENER(Listener)

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    int const failed = Catch::Session().run(argc, argv);
    std::printf("cases: %lu passed, %lu failed", totals().passed, totals().failed);
    if (totals().skipped != 0) std::printf(", %lu skipped", totals().skipped);
    std::printf("\n");
    return failed != 0 || totals().failed != 0 ? 1 : 0;
}
