// The two questions that administrators ask most: why this result, and is my record good.
#pragma once

#include "common/spf/check.h"
#include "policyd-spf/settings.h"

#include <string>
#include <string_view>

namespace postern::policyd_spf {

struct Report {
    std::string text; // lines for a terminal
    bool good = false;
};

// Columns of the terminal that lines are wrapped to; 0: they stay whole.
using Width = std::size_t;

// Both identities, every term and lookup. good: neither is an error.
Report explain(spf::Checker const& checker, Settings const& settings, std::string_view client,
               std::string_view helo, std::string_view sender, Width width = 0);

// The record of a domain evaluated to its end (nothing matches), so that all its lookups are counted, for
// clients of both families. good: it can be read, stays within the limits and names nothing that is not
// there.
Report check_record(spf::Checker const& checker, Settings const& settings, std::string_view domain,
                    Width width = 0);

} // namespace postern::policyd_spf
