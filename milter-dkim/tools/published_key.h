// The key record of somebody's DNS (RFC 6376 3.6.1), read as libopendkim reads it and told in its words.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/tools/new_key.h"

#include <string>
#include <string_view>

namespace postern::milter_dkim::tools {

struct PublishedKey {
    KeyType type = KeyType::rsa;
    std::string base64; // p= without blanks
    bool test_mode = false;
};
// The error's text is for people: "syntax error in key data (ASCII 0x77 at offset 6)", "Revoked key".
Result<PublishedKey> parse_published_key(std::string_view record);

// The size of what stands in p=: bits of an RSA key, 256 for Ed25519. The error says why it is no key.
Result<int> published_bits(PublishedKey const& key);

} // namespace postern::milter_dkim::tools
