// The verify and generate functions behind the table of schemes, by family.
#pragma once

#include "auth-socket/schemes/scheme.h"

#include <string>
#include <string_view>

namespace postern::auth_socket::kinds {

inline constexpr std::size_t salt_size = 4; // of SSHA and SMD5 when made here; any length is read

// A digest of OpenSSL by name ("SHA1", "SHA256"): empty when OpenSSL does not have it.
std::string digest(char const* name, std::string_view text);
std::string md4(std::string_view text);
std::string md5(std::string_view text);
std::string hmac(char const* digest_name, std::string_view key, std::string_view text);
std::string pbkdf2(char const* digest_name, std::string_view password, std::string_view salt, unsigned rounds,
                   std::size_t size);

// crypt(3): all that the system's libcrypt knows.
Result<bool> verify_crypt(std::string_view stored, PasswordAttempt const& attempt);
// prefix: "$6$", "$2y$" ...; empty for traditional DES.
Result<std::string> generate_crypt(std::string_view prefix, unsigned rounds, std::string_view password);

// The two halves of HMAC-MD5's state after the key (RFC 2195), outer then inner, 32 octets.
std::string cram_md5_state(std::string_view password);
// HMAC-MD5 of the text, resumed from that state; 16 octets. Empty when the state is not 32 octets.
std::string cram_md5_response(std::string_view state, std::string_view text);
// MD5 of "user:realm:password", the realm being what stands behind '@' (RFC 2831).
std::string digest_md5_key(std::string_view user, std::string_view password);

// RFC 5802: iterations, salt, StoredKey and ServerKey.
struct ScramKeys {
    unsigned iterations = 0;
    std::string salt, stored_key, server_key;
};
ScramKeys make_scram_keys(char const* digest_name, std::string_view password, std::string_view salt,
                          unsigned iterations);
std::optional<ScramKeys> read_scram_keys(std::string_view stored); // "4096,salt,stored,server" in base64
std::string write_scram_keys(ScramKeys const& keys);

Result<bool> verify_argon2(std::string_view stored, PasswordAttempt const& attempt);
Result<std::string> generate_argon2i(PasswordAttempt const& attempt, GenerateOptions const& options);
Result<std::string> generate_argon2id(PasswordAttempt const& attempt, GenerateOptions const& options);

Result<bool> verify_pbkdf2(std::string_view stored, PasswordAttempt const& attempt);
Result<std::string> generate_pbkdf2(PasswordAttempt const& attempt, GenerateOptions const& options);

// RFC 2289: "sha1 1024 seed 16-hex-digits".
Result<bool> verify_otp(std::string_view stored, PasswordAttempt const& attempt);
Result<std::string> generate_otp(PasswordAttempt const& attempt, GenerateOptions const& options);

} // namespace postern::auth_socket::kinds
