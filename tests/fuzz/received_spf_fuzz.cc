// Received-SPF: reading what was written gives the same; a stranger's text never leaves its place.
#include "common/mail/received_spf.h"

#include "tests/fuzz/fuzz.h"

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const value = as_text(data, size);
    if (auto const field = mail::read_received_spf(value)) {
        FUZZ_REQUIRE(field->pairs.size() <= mail::max_received_spf_pairs);
        auto const once = mail::read_received_spf(mail::make_received_spf(*field));
        FUZZ_REQUIRE(once && once->result == field->result && once->pairs.size() == field->pairs.size());
        auto const twice = mail::read_received_spf(mail::make_received_spf(*once));
        FUZZ_REQUIRE(twice && *twice == *once);
    }
    std::string const octets(value);
    auto const read = mail::read_received_spf(mail::make_received_spf(
        {"fail", octets, {{"identity", "mailfrom"}, {"envelope-from", octets}, {"receiver", "x"}}}));
    FUZZ_REQUIRE(read && read->result == "fail" && read->pairs.size() == 3 && read->value("receiver") == "x");
    return 0;
}
