// What strangers write for reports and diagnoses: reporting records, z=, and signatures whose canonical form
// is kept. Bounds hold, nothing that breaks a line gets out of a record, and a copy never says more than it
// was given.
#include "common/base/text.h"
#include "milter-dkim/message/canonical_copy.h"
#include "milter-dkim/report/diagnosis.h"
#include "milter-dkim/report/report.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>

using namespace postern;
using namespace postern::milter_dkim;

namespace {

void read_record(std::string_view text) {
    auto const record = ReportingRecord::parse(text);
    FUZZ_REQUIRE(record.local_part.size() <= 64);
    FUZZ_REQUIRE(!record.local_part.starts_with('-'));
    FUZZ_REQUIRE(std::ranges::none_of(record.local_part, [](char c) { return is_space(c) || c == '@'; }));
    FUZZ_REQUIRE(record.percent <= 100);
    FUZZ_REQUIRE(std::ranges::all_of(record.smtp_text, is_printable));
    SignatureResult const none;
    FUZZ_REQUIRE(record.wants(none) || !record.requested.empty());
}

void read_copied_fields(std::string_view text) {
    auto const fields = copied_fields(text);
    if (!fields) return;
    FUZZ_REQUIRE(!fields->empty() && fields->size() <= max_copied_fields);
    std::size_t size = 0;
    for (auto const& each : *fields) size += each.size();
    FUZZ_REQUIRE(size <= text.size());
}

void copy_signature(std::string_view text) {
    auto const field = SignatureField::read(text);
    if (!field.error.empty()) return;
    HeaderList const headers{
        {"From", " a@example.com"}, {"from", std::string(text)}, {"Subject", " x \n\ty"}};
    auto const copy = canonical_copy(field, text, headers, text, false);
    FUZZ_REQUIRE(to_lower(copy.header).contains("dkim-signature:"));
    FUZZ_REQUIRE(copy.body.size() <= 2 * text.size() + 2);
    if (auto const limit = parse_number<std::size_t>(field.tag("l")))
        FUZZ_REQUIRE(copy.body.size() <= *limit);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    read_record(text);
    read_copied_fields(text);
    copy_signature(text);
    return 0;
}
