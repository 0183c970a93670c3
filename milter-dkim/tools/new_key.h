// Makes private keys; what reads them is milter-dkim's own SigningKey.
#pragma once

#include "common/base/error.h"
#include "common/base/secret.h"

#include <string_view>

namespace postern::milter_dkim::tools {

enum class KeyType { rsa, ed25519 };

std::string_view to_string(KeyType type); // the k= of a record: "rsa", "ed25519"
Result<KeyType> parse_key_type(std::string_view text);

// What OpenSSL makes at all, and what a verifier can be asked to calculate with.
inline constexpr int smallest_rsa_bits = 512;
inline constexpr int largest_rsa_bits = 16384;

// PEM, PKCS #8.
Result<Secret> new_private_key(KeyType type, int rsa_bits);

} // namespace postern::milter_dkim::tools
