// Stored passwords: "{SCHEME.encoding}value" taken apart, verified and made.
#pragma once

#include "auth-socket/request.h"
#include "common/base/error.h"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

// What a scheme may need besides the stored value: DIGEST-MD5 hashes the user name in.
struct PasswordAttempt {
    std::string_view password;
    std::string_view user; // as the client wrote it
};

struct GenerateOptions {
    unsigned rounds = 0; // 0: the scheme's own default
};

enum class TextForm { as_is, hex, base64 };

struct Scheme {
    std::string_view name;
    TextForm form;    // how the value is written without an encoding in the prefix
    std::size_t size; // octets of the decoded value; 0: any
    // Permanent error: the stored value is broken, or the system's crypt does not know it.
    Result<bool> (*verify)(std::string_view stored, PasswordAttempt const& attempt);
    Result<std::string> (*generate)(PasswordAttempt const& attempt, GenerateOptions const& options);
    bool
        slow; // made to take long: milliseconds of a core for one attempt, where the others take microseconds
};

// Every scheme, sorted by name; aliases (CLEAR, SHA1, HMAC-MD5 ...) are rows of their own.
std::vector<Scheme> const& schemes();
Scheme const* find_scheme(std::string_view name); // any case

// Takes a stored password apart. Without a prefix: "$1$" is MD5-CRYPT, else default_scheme (which may carry
// an encoding, "SHA512.b64"). For digests of a fixed size the encoding is told by the length. Permanent
// error: an unknown scheme or encoding, or a value that does not decode.
Result<Credential> read_stored_password(std::string_view stored, std::string_view default_scheme);

// A scheme's name, an encoding behind it or not. Permanent error: there is no such scheme or encoding.
Result<> check_scheme(std::string_view name);

// A '!' or '*' in place of the hash or before it, as passwd(5) and shadow(5) have it: no password fits, and
// that is meant so.
bool is_locked(std::string_view stored, std::string_view default_scheme);

Result<bool> verify_password(Credential const& credential, PasswordAttempt const& attempt);

// "{SCHEME}value"; scheme may carry an encoding.
Result<std::string> make_stored_password(std::string_view scheme, PasswordAttempt const& attempt,
                                         GenerateOptions const& options);

} // namespace postern::auth_socket
