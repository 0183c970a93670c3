// Whose mail it claims to be: the author domains of all From fields.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dmarc {

struct Authors {
    std::vector<std::string> domains; // distinct, normalised, in order
    bool malformed = false; // a From field that readers could understand differently, or a bad domain in it
    std::size_t fields = 0;

    // RFC 9989 5.3.1: DMARC speaks about mail with one author domain.
    bool is_single() const { return domains.size() == 1 && !malformed && fields == 1; }
    // Nobody to ask about: no From, an empty group, a local name, an address literal.
    bool is_nobody() const { return domains.empty() && !malformed; }
};

// values: of every From field.
Authors find_authors(std::vector<std::string> const& values);

} // namespace postern::milter_dmarc
