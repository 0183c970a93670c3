// maildirsize and quota rules: sums are never negative, limits come back as they were written.
#include "lmtp-deliver/quota/count.h"
#include "lmtp-deliver/quota/maildirsize.h"
#include "lmtp-deliver/quota/rules.h"

#include "tests/fuzz/fuzz.h"

using namespace postern::lmtp_deliver;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* octets, std::size_t size) {
    auto const text = as_text(octets, size);
    if (auto const sum = parse_maildirsize(text)) {
        FUZZ_REQUIRE(sum->usage.bytes >= 0 && sum->usage.count >= 0);
        FUZZ_REQUIRE(sum->limits.bytes >= 0 && sum->limits.count >= 0);
        auto const again =
            parse_maildirsize(limits_line(sum->limits) + "\n" + std::to_string(sum->usage.bytes) + " 1\n");
        FUZZ_REQUIRE(again && again->limits == sum->limits && again->usage.bytes == sum->usage.bytes);
    }
    if (auto const in_name = size_in_name(text)) FUZZ_REQUIRE(*in_name >= 0);
    if (auto const rule = parse_quota_rule(text)) FUZZ_REQUIRE(!rule->mask.empty());
    FUZZ_REQUIRE(matches_mask("*", text));
    FUZZ_REQUIRE(matches_mask(text, text) || text.contains('*'));
    return 0;
}
