// The hashes of a message's body (RFC 6376 3.7): signatures that want the same of it share one.
#pragma once

#include "milter-dkim/message/canonical.h"
#include "milter-dkim/verify/signature.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

class Bodies {
  public:
    struct Body {
        CanonicalForm form;
        std::optional<std::uint64_t> length; // l=
        BodyHash hash;
        std::string digest; // after finish()
    };

    explicit Bodies(bool lone_ends) : lone_ends_(lone_ends) {}

    std::size_t of(Signature const& signature); // its place; before the body
    void add(std::string_view chunk);
    void finish(); // once
    bool empty() const { return bodies_.empty(); }
    Body const& operator[](std::size_t place) const { return bodies_[place]; }

  private:
    bool lone_ends_; // FixCRLF
    std::vector<Body> bodies_;
};

} // namespace postern::milter_dkim
