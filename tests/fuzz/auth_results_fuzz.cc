// Authentication-Results: reading what was written gives the same; a stranger's text never leaves its place.
#include "common/mail/auth_results.h"

#include "tests/fuzz/fuzz.h"

using namespace postern;

namespace {

std::string tamed(std::string_view text) {
    std::string out(text);
    for (char& c : out)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
    return out;
}

void check_rewriting(mail::AuthResults const& results) {
    auto const once = mail::read_auth_results(mail::make_auth_results(results));
    FUZZ_REQUIRE(once && once->results.size() == results.results.size());
    auto const twice = mail::read_auth_results(mail::make_auth_results(*once, 0));
    FUZZ_REQUIRE(twice && *twice == *once);
    for (std::size_t i = 0; i < results.results.size(); ++i) {
        FUZZ_REQUIRE(once->results[i].method == results.results[i].method);
        FUZZ_REQUIRE(once->results[i].result == results.results[i].result);
        FUZZ_REQUIRE(once->results[i].properties.size() == results.results[i].properties.size());
    }
}

void check_enclosure(std::string_view text) {
    std::string const octets(text);
    auto const value = mail::make_auth_results(
        {octets,
         {{"spf", "pass", octets, octets, {{"smtp", "mailfrom", octets}}}, {"dkim", "none", {}, {}, {}}}});
    auto const read = mail::read_auth_results(value);
    FUZZ_REQUIRE(read && read->authserv_id == tamed(text) && read->results.size() == 2);
    FUZZ_REQUIRE(read->results[0].properties.size() == 1);
    FUZZ_REQUIRE(read->results[0].property("smtp", "mailfrom") == tamed(text));
    FUZZ_REQUIRE(read->results[0].comment == tamed(text));
    FUZZ_REQUIRE(read->results[0].reason == tamed(text));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const value = as_text(data, size);
    auto const id = mail::authserv_id_of(value);
    if (id) FUZZ_REQUIRE(mail::might_claim_authserv_id(value, *id));
    if (auto const results = mail::read_auth_results(value)) {
        FUZZ_REQUIRE(results->authserv_id == id.value_or(""));
        FUZZ_REQUIRE(results->results.size() <= mail::max_auth_results);
        check_rewriting(*results);
    }
    check_enclosure(value);
    return 0;
}
