// What a signature covers, in canonical form, to be looked at: for reports (RFC 6651) and for the files of
// KeepTemporaryFiles.
#pragma once

#include "milter-dkim/message/message_facts.h"
#include "milter-dkim/message/signature_field.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace postern::milter_dkim {

inline constexpr std::size_t max_body_copy = std::size_t{1024} * 1024; // of a body that is kept for it

struct CanonicalCopy {
    std::string header; // ends with the signature's own field, its b= empty
    std::string body;   // what l= covers
};

// field: the signature as read, value as it stands in the header; body: the octets as the MTA gave them.
CanonicalCopy canonical_copy(SignatureField const& field, std::string_view value, HeaderList const& headers,
                             std::string_view body, bool lone_ends);

// Two files, DIRECTORY/dkim.JOB.XXXXXX as OpenDKIM names them; the header's, then the body's.
Result<> write_copies(CanonicalCopy const& copy, std::string const& directory, std::string_view job_id);

} // namespace postern::milter_dkim
