// Finds the hash that a signature wants, or begins it.
#include "milter-dkim/verify/bodies.h"

#include <algorithm>

namespace postern::milter_dkim {

std::size_t Bodies::of(Signature const& signature) {
    auto const form = signature.canonicalization.body;
    auto const same = std::ranges::find_if(
        bodies_, [&](Body const& each) { return each.form == form && each.length == signature.body_length; });
    if (same != bodies_.end()) return static_cast<std::size_t>(same - bodies_.begin());
    bodies_.push_back({form,
                       signature.body_length,
                       BodyHash(form, signature.body_length.value_or(BodyHash::whole), lone_ends_),
                       {}});
    return bodies_.size() - 1;
}

void Bodies::add(std::string_view chunk) {
    for (auto& body : bodies_) body.hash.add(chunk);
}

void Bodies::finish() {
    for (auto& body : bodies_) body.digest = body.hash.finish();
}

} // namespace postern::milter_dkim
