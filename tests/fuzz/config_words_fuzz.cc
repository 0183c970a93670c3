// The two flat formats: every setting and every problem names a line that exists; no value keeps a line end.
#include "common/config/assignments.h"
#include "common/config/words.h"

#include "tests/fuzz/fuzz.h"

#include <algorithm>

using namespace postern::config;

namespace {

void check(ReadResult const& result, std::string_view text) {
    auto const lines = std::ranges::count(text, '\n') + 1;
    for (auto const& [name, value, place] : result.assignments) {
        FUZZ_REQUIRE(!name.empty());
        FUZZ_REQUIRE(place.line >= 1 && place.line <= lines);
        FUZZ_REQUIRE(value.find('\n') == std::string::npos);
    }
    for (auto const& problem : result.problems)
        FUZZ_REQUIRE(problem.place.line >= 1 && problem.place.line <= lines);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    check(parse_words(text, "fuzz.conf"), text);
    check(parse_assignments(text, "fuzz.cf", postfix_style), text);
    check(parse_assignments(text, "fuzz.conf.ext", dovecot_sql_style), text);
    check(parse_assignments(text, "fuzz.conf", AssignmentStyle{.hash_anywhere = true}), text);
    return 0;
}
