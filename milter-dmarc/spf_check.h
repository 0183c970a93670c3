// SPFSelfValidate: the SPF check of RFC 7208 on the envelope that the MTA tells.
#pragma once

#include "common/spf/check.h"
#include "milter-dmarc/session.h"

#include <memory>

namespace postern::milter_dmarc {

// Keeps the resolver alive.
SpfCheck make_spf_check(std::shared_ptr<dns::Resolver> const& resolver);

} // namespace postern::milter_dmarc
