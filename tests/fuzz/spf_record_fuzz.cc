// SPF records: terms read again are the same terms, and libspf2 walks them as the plain engine does.
#include "common/spf/record.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/spf/plain_engine.h"

#include <string>

using namespace postern;
using namespace postern::spf;

namespace {

// Some terms match, some do not, some cannot be found out: by their text, so that both engines see the same.
Result<bool> matches(Term const& term) {
    if (term.text.size() % 7 == 0) return temporary("no answer");
    return term.text.size() % 3 == 0;
}

std::string walked(Engine const& engine, Record const& record, char const* client) {
    auto const decided = engine.walk(record.terms, *IpAddress::parse(client), matches);
    if (!decided) return decided.error().text;
    return *decided ? std::string(1, qualifier_sign(**decided)) : "none";
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    if (!is_spf_record(text)) return 0;
    auto const record = parse_record(text);
    if (!record) {
        FUZZ_REQUIRE(record.error().kind == ErrorKind::permanent);
        return 0;
    }
    std::string again = "v=spf1";
    for (auto const& term : record->terms) again += " " + term.text;
    auto const reread = parse_record(again);
    FUZZ_REQUIRE(reread);
    FUZZ_REQUIRE(reread->terms.size() == record->terms.size());
    static auto const engine = make_libspf2_engine();
    for (auto const* client :
         {"192.0.2.1", "255.255.255.255", "0.0.0.0", "2001:db8::1", "::", "::ffff:1.2.3.4"})
        FUZZ_REQUIRE(walked(*engine, *record, client) == walked(test::PlainEngine(), *record, client));
    return 0;
}
