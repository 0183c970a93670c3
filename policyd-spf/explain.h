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

// Both identities, every term and lookup. good: neither is an error.
Report explain(spf::Checker const& checker, Settings const& settings, std::string_view client,
               std::string_view helo, std::string_view sender);

// The record of a domain evaluated to its end (nothing matches), so that all its lookups are counted. good:
// it can be read, stays within the limits and every lookup has an answer.
Report check_record(spf::Checker const& checker, Settings const& settings, std::string_view domain);

} // namespace postern::policyd_spf
