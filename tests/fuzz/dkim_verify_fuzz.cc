// A stranger's message through the verifier: no input passes, since nobody signed it with a key
// that is there, and every signature field has its result.
#include "common/base/log.h"
#include "common/base/text.h"
#include "common/mail/headers.h"
#include "milter-dkim/verify/verifier.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>

using namespace postern;
using namespace postern::milter_dkim;

namespace {

class NoNames final : public dns::Resolver {
  public:
    Result<dns::DnsAnswer> lookup(std::string_view, dns::RecordType, Deadline) override {
        return dns::DnsAnswer();
    }
};

std::shared_ptr<Configuration const> const& configuration() {
    static auto const made = [] {
        NullLog log;
        std::vector<config::Problem> problems;
        return Configuration::make(Settings(), DataSetOpener(), log, problems);
    }();
    return made;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    auto const body_at = mail::body_offset(text);
    auto const parsed = mail::Headers::parse(text.substr(0, body_at));
    if (!parsed) return 0;
    HeaderList headers;
    std::size_t signatures = 0;
    for (auto const& field : parsed->fields()) {
        headers.emplace_back(std::string(field.name()), std::string(field.value()));
        if (field.is("DKIM-Signature")) ++signatures;
    }
    NoNames resolver;
    Verifier verifier(*configuration(), resolver, headers, "example.com");
    verifier.body(text.substr(body_at));
    auto const results = verifier.finish();
    FUZZ_REQUIRE(results.size() == signatures);
    for (auto const& each : results) FUZZ_REQUIRE(each.kind != SignatureResult::Kind::pass);
    auto const written = results_text({"us", false, true}, results);
    FUZZ_REQUIRE(written.starts_with("us;"));
    FUZZ_REQUIRE(std::ranges::none_of(written, [](char c) { return c == '\r' || c == '\0'; }));
    return 0;
}
