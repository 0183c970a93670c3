// DiagnosticDirectory: the header of a failed message beside the one that the signature says it had (z=).
#pragma once

#include "common/base/error.h"
#include "milter-dkim/results/verified_message.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

inline constexpr std::size_t max_copied_fields = 1000;

// RFC 6376 3.5, z=: fields between "|", in dkim-quoted-printable. Nothing when an octet is wrongly encoded or
// there are too many. The value is at most as long as a signature field is (max_signature_field).
std::optional<std::vector<std::string>> copied_fields(std::string_view z);

// What the file says, in OpenDKIM's form; empty when no failed signature has a z= that can be read.
std::string diagnosis_text(VerifiedMessage const& message);

// Writes it to DIRECTORY/JOBID, in place of what an earlier message with that id left there.
Result<> write_diagnosis(VerifiedMessage const& message, std::string const& directory);

} // namespace postern::milter_dkim
