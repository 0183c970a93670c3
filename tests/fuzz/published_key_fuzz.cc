// Key records of anybody's DNS, as milter-dkim-testkey reads them.
#include "milter-dkim/tools/published_key.h"
#include "tests/fuzz/fuzz.h"

using namespace postern::milter_dkim::tools;

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const record = as_text(data, size);
    auto const key = parse_published_key(record);
    if (!key) {
        FUZZ_REQUIRE(!key.error().text.empty() && key.error().text.size() < 1000);
        return 0;
    }
    FUZZ_REQUIRE(!key->base64.empty() && key->base64.size() <= record.size());
    FUZZ_REQUIRE(key->base64.find_first_of(" \t\r\n;") == std::string::npos);
    if (auto const bits = published_bits(*key)) FUZZ_REQUIRE(*bits > 0);
    // A record written from what was read is the same key.
    auto const again = parse_published_key("k=" + std::string(to_string(key->type)) +
                                           (key->test_mode ? ";t=y" : "") + ";p=" + key->base64);
    FUZZ_REQUIRE(again && again->base64 == key->base64 && again->type == key->type &&
                 again->test_mode == key->test_mode);
    return 0;
}
