// milter-dmarc-check: the policy that applies to a domain's mail, in words.
#pragma once

#include "milter-dmarc/discovery.h"

#include <string>

namespace postern::milter_dmarc {

struct CheckAnswer {
    std::string text;  // for standard output
    std::string error; // for standard error; empty when a record was found
    int exit_code = 0; // 0 found, 1 no record, 64 no domain name, 75 could not be looked up
};

// name: as typed.
CheckAnswer check_domain(std::string const& name, Discovery& discovery);

} // namespace postern::milter_dmarc
