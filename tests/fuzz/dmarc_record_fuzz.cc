// DMARC records: a record that is not usable has no policy, URIs are clean, and a walk asks eight names at
// most.
#include "common/mail/domain.h"
#include "milter-dmarc/discovery.h"
#include "milter-dmarc/record.h"

#include "tests/fuzz/fuzz.h"

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

void check(Record const& record) {
    FUZZ_REQUIRE(record.pct >= 0 && record.pct <= 100);
    FUZZ_REQUIRE(record.notes.size() <= 10);
    if (record.verdict != Record::Verdict::usable)
        FUZZ_REQUIRE(record.p == Policy::none && !record.sp && !record.np);
    FUZZ_REQUIRE((record.verdict == Record::Verdict::unusable) <= record.rua.empty());
    for (auto const& list : {record.rua, record.ruf})
        for (auto const& uri : list) FUZZ_REQUIRE(uri.find_first_of(" \t\r\n,;!\"<>") == std::string::npos);
    auto const again = parse_record("v=DMARC1;p=" + std::string(to_string(record.p)) + ";fo=" + record.fo);
    FUZZ_REQUIRE(again && again->p == record.p && again->fo == record.fo);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    if (auto const record = parse_record(text)) check(*record);
    if (auto const record = parse_record("v=DMARC1;" + std::string(text))) check(*record);
    if (auto const domain = mail::normal_domain(text)) {
        auto const names = walk_names(*domain);
        FUZZ_REQUIRE(!names.empty() && names.size() <= 8);
        for (auto const& name : names) FUZZ_REQUIRE(mail::is_at_or_below(*domain, name));
    }
    return 0;
}
