// dovecot.conf: any octets are read without a crash, and every problem has its place.
#include "common/config/blocks.h"

#include "tests/fuzz/fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    // Includes would read the machine's files.
    if (text.find("!include") != std::string_view::npos || text.find('<') != std::string_view::npos) return 0;
    auto const result = postern::config::parse_blocks(text, "fuzz.conf");
    for (auto const& problem : result.problems) {
        FUZZ_REQUIRE(problem.place.line > 0);
        FUZZ_REQUIRE(!problem.text.empty());
    }
    return 0;
}
