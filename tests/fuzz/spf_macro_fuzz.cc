// SPF macro strings: what is read can be expanded, within its limits, the same way in both places.
#include "common/spf/macro.h"

#include "tests/fuzz/fuzz.h"

#include <algorithm>
#include <string>

using postern::spf::MacroString;

namespace {

std::string value(char letter) {
    return letter == 's' ? "strong-bad@email.example.com" : std::string(1, letter) + ".a-b+c,d/e_f=g.example";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    auto const domain = MacroString::parse(text, MacroString::Place::domain);
    auto const words = MacroString::parse(text, MacroString::Place::explanation);
    FUZZ_REQUIRE(domain || !domain.error().text.empty());
    if (domain) {
        FUZZ_REQUIRE(words); // what a name may hold, an explanation may hold too
        FUZZ_REQUIRE(domain->text() == text);
        FUZZ_REQUIRE(domain->expand(value) == words->expand(value));
        auto const name = domain->expand_domain(value);
        FUZZ_REQUIRE(name.size() <= 253 || name.find('.') == std::string::npos);
    }
    if (words) {
        auto const expansion = words->expand(value);
        FUZZ_REQUIRE(expansion.size() <= MacroString::max_expansion);
        FUZZ_REQUIRE(std::ranges::all_of(expansion, [](char c) { return c >= ' ' && c < 0x7f; }));
    }
    FUZZ_REQUIRE(!MacroString::parse_domain_spec(text) || domain);
    return 0;
}
