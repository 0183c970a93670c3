// Walks the mechanisms of one record in order; the part of RFC 7208 that can be exchanged for another
// library.
#pragma once

#include "common/base/error.h"
#include "common/spf/ip_address.h"
#include "common/spf/record.h"

#include <functional>
#include <memory>
#include <optional>
#include <span>

namespace postern::spf {

// Whether a term that asks the DNS (a, mx, ptr, exists, include) matches. An error ends the walk.
using TermMatcher = std::function<Result<bool>(Term const&)>;

// Thread-safe; a matcher may walk another record before it answers.
class Engine {
  public:
    virtual ~Engine() = default;
    // The qualifier of the first term that matches, absent when none does. ip4, ip6 and all are the engine's,
    // everything else the matcher's. An IPv4-mapped client has to be unmapped before.
    virtual Result<std::optional<Qualifier>> walk(std::span<Term const> terms, IpAddress const& client,
                                                  TermMatcher const& matches) const = 0;
};

std::unique_ptr<Engine> make_libspf2_engine();

} // namespace postern::spf
