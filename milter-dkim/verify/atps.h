// RFC 6541: whether the author's domain lets another one sign for it.
#pragma once

#include "common/dns/resolver.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/results/verified_message.h"

#include <string>
#include <string_view>

namespace postern::milter_dkim {

// What dkim-atps= says, in OpenDKIM's words. neutral: nobody signed for another domain, or it could not be
// found out.
enum class Atps { neutral, fail, pass };
std::string_view to_string(Atps result);

// Asks for each good signature of another domain that names the author's (atps=), until one is allowed.
// Nothing is asked when the author's domain signed itself.
Atps check_atps(Configuration const& configuration, dns::Resolver& resolver, VerifiedMessage const& message);

// The name to ask for, or nothing where the hash is none that we know (sha256, sha1, none).
std::string atps_name(std::string_view signer, std::string_view hash, std::string_view author);

} // namespace postern::milter_dkim
