// Statistics: one record a message, in the form that opendkim-stats(8) and opendkim-importstats(8) read.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/results/verified_message.h"
#include "milter-dkim/verify/atps.h"

#include <cstdint>
#include <string>

namespace postern::milter_dkim {

// The lines of one message: M for it, an S for each signature that was looked at.
std::string statistics_record(VerifiedMessage const& message, Atps atps, std::string const& reporter,
                              std::int64_t now);

// Appends it with one write, behind the version line when the file is new.
Result<> append_statistics(std::string const& path, std::string const& record);

} // namespace postern::milter_dkim
