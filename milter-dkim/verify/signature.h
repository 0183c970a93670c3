// A DKIM-Signature that can be checked: the values of its tags (RFC 6376 3.5).
#pragma once

#include "common/base/error.h"
#include "milter-dkim/message/signature_field.h"
#include "milter-dkim/settings.h"
#include "milter-dkim/sign/keys.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace postern::milter_dkim {

struct Signature {
    std::optional<Algorithm> algorithm; // absent: rsa-sha1, which RFC 8301 has ended
    Canonicalization canonicalization;
    std::string domain;
    std::string selector;
    bool in_subdomain = false;       // i= names another domain than d=
    std::vector<std::string> fields; // h=
    std::string body_hash;           // octets
    std::string value;               // octets of b=
    std::optional<std::uint64_t> body_length;

    // The field was read without error. Expired, from the future and with values that nobody can check:
    // the error says it in libopendkim's words. now: unix seconds; drift: what clocks may differ.
    static Result<Signature> parse(SignatureField const& field, std::int64_t now, std::uint64_t drift);
};

} // namespace postern::milter_dkim
