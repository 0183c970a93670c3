// The reason that waits for the runner.
#include "tests/unit/support/skip.h"

#include <cstdlib>
#include <utility>

namespace postern::test {

namespace {

std::string& reason_given() {
    static std::string reason;
    return reason;
}

} // namespace

void skip_case(std::string reason) { reason_given() = std::move(reason); }

char const* corpus_or_skip() {
    auto const* const corpus = std::getenv("POSTERN_CORPUS");
    if (corpus == nullptr) skip_case("POSTERN_CORPUS is not set");
    return corpus;
}

std::string take_skip() { return std::exchange(reason_given(), {}); }

} // namespace postern::test
