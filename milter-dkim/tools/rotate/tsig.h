// TSIG (RFC 8945): proves to a name server who sends an update, and that its answer is the server's.
#pragma once

#include "common/base/error.h"
#include "common/base/secret.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace postern::milter_dkim::tools {

struct TsigKey {
    std::string name;      // lower case, without the final dot
    std::string algorithm; // "hmac-sha256", "hmac-sha384", "hmac-sha512"
    Secret secret;         // the octets
};

// "[algorithm:]name:base64", as dig and nsupdate take it with -y.
Result<TsigKey> parse_tsig_key(std::string_view text);
// A file with one key statement of named.conf, as tsig-keygen(8) writes it: key "name" { algorithm
// hmac-sha256; secret "..."; }; or one line as above.
Result<TsigKey> read_tsig_key(std::string const& path);

struct SignedMessage {
    std::string octets;
    std::string mac; // what verify_tsig needs
};
SignedMessage sign_tsig(std::string message, TsigKey const& key, std::int64_t now);
// An answer without a signature or with a wrong one is malformed; the error of a server that refused ours is
// permanent and names it (BADKEY, BADSIG, BADTIME).
Result<> verify_tsig(std::string_view response, TsigKey const& key, std::string_view request_mac,
                     std::int64_t now);

} // namespace postern::milter_dkim::tools
