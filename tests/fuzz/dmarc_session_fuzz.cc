// Whole messages: never a pass without exactly one author domain and an aligned identifier, never without an
// answer.
#include "common/base/metrics.h"
#include "milter-dmarc/authors.h"
#include "milter-dmarc/test_mode.h"

#include "tests/fuzz/fuzz.h"
#include "tests/unit/support/fake_resolver.h"

using namespace postern;
using namespace postern::milter_dmarc;

namespace {

std::shared_ptr<Configuration const> configuration(bool rejects) {
    auto made = std::make_shared<Configuration>();
    made->settings.authserv_id = "mx.example";
    made->settings.reject_failures = rejects;
    made->suffixes = std::make_shared<mail::PublicSuffixes const>(*mail::PublicSuffixes::load());
    auto const resolver = std::make_shared<test::FakeResolver>();
    resolver->zone.txt("_dmarc.a.example", "v=DMARC1; p=reject; adkim=s")
        .txt("_dmarc.b.example", "v=DMARC1; p=quarantine")
        .txt("_dmarc.example.com", "v=DMARC1; p=reject")
        .fail("_dmarc.c.example");
    made->resolver = resolver;
    return made;
}

std::size_t count(std::string_view text, std::string_view part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
    return found;
}

void check(std::string_view message, std::shared_ptr<Configuration const> const& with) {
    NullLog log;
    Metrics metrics;
    Outcomes outcomes(metrics);
    auto const headers = mail::Headers::parse(message);
    if (!headers) return;
    auto const text = judged("m", message, with, log, outcomes);
    bool const accepted = text.ends_with("m: accept\n");
    FUZZ_REQUIRE(accepted || text.starts_with("m: 550 ") || text.starts_with("m: 451 "));
    FUZZ_REQUIRE(count(text, "m: insert Authentication-Results: mx.example; dmarc=") == (accepted ? 1 : 0));
    if (!text.contains("; dmarc=pass")) return;
    std::vector<std::string> from;
    for (auto const* field : headers->all("From")) from.emplace_back(field->value());
    FUZZ_REQUIRE(find_authors(from).is_single());
    FUZZ_REQUIRE(headers->count("Authentication-Results") + headers->count("Received-SPF") > 0);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    static auto const lenient = configuration(false);
    static auto const strict = configuration(true);
    check(as_text(data, size), lenient);
    check(as_text(data, size), strict);
    return 0;
}
