// A body hashed whole equals the body hashed in pieces; a canonical body and field stay as they are when made
// canonical again; a signature field never yields two tags of one name.
#include "milter-dkim/message/canonical.h"
#include "milter-dkim/message/signature_field.h"
#include "tests/fuzz/fuzz.h"

#include <algorithm>

using namespace postern::milter_dkim;

namespace {

std::string hash_of(CanonicalForm form, std::string_view body, std::size_t piece, bool lone_ends) {
    BodyHash hash(form, BodyHash::whole, lone_ends);
    while (!body.empty()) {
        hash.add(body.substr(0, piece));
        body.remove_prefix(std::min(piece, body.size()));
    }
    return hash.finish();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    std::string_view const text(reinterpret_cast<char const*>(data), size);
    for (auto const form : {CanonicalForm::simple, CanonicalForm::relaxed}) {
        for (bool const lone_ends : {false, true}) {
            auto const whole = hash_of(form, text, std::string_view::npos, lone_ends);
            for (std::size_t const piece : {1, 2, 3, 7})
                FUZZ_REQUIRE(hash_of(form, text, piece, lone_ends) == whole);
        }
        auto const field = canonical_field(form, text);
        FUZZ_REQUIRE(canonical_field(form, field) == field);
    }
    auto const tags = TagList::parse(text);
    if (!tags) return 0;
    for (auto const& [name, value] : tags->tags)
        FUZZ_REQUIRE(std::ranges::count(tags->tags, name, [](auto const& each) { return each.first; }) == 1);
    return 0;
}
