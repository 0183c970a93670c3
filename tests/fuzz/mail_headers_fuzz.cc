// Header sections: the fields together are the octets that were read, none added, none lost.
#include "common/mail/headers.h"

#include "tests/fuzz/fuzz.h"

using namespace postern;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    FUZZ_REQUIRE(mail::body_offset(text) <= size);
    auto const headers = mail::Headers::parse(text);
    if (!headers) return 0;
    std::string all;
    for (auto const& field : headers->fields()) {
        FUZZ_REQUIRE(!field.name().empty());
        FUZZ_REQUIRE(headers->first(field.name()) != nullptr);
        all += field.octets();
    }
    FUZZ_REQUIRE(text.starts_with("From ") ? text.contains(all) : text.starts_with(all));
    FUZZ_REQUIRE(all.size() <= mail::body_offset(text));
    return 0;
}
