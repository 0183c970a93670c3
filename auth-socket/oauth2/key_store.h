// Keys for local validation, in files: Dovecot's "fs:posix" layout, or one JWK set.
#pragma once

#include "auth-socket/oauth2/jwt.h"

#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// PREFIX<azp or "default">/<alg in capitals>/<kid or "default">: a public key as PEM, or for HS* a secret in
// base64; or, where PREFIX is a file, a JWK set (RFC 7517). Read anew for each token: a new key works at
// once.
class KeyStore {
  public:
    // "fs:posix:prefix=/etc/dovecot/keys/". Permanent error: another kind of dict.
    static Result<KeyStore> of_dict(std::string_view dict);
    explicit KeyStore(std::string prefix) : prefix_(std::move(prefix)) {}

    // The signature of a token: true, false, or temporary error: a key is there and cannot be read.
    Result<bool> verifies(Jwt const& jwt) const;
    std::string const& prefix() const { return prefix_; }

  private:
    Result<bool> verifies_by_file(Jwt const& jwt, SignatureAlgorithm const& algorithm) const;
    Result<bool> verifies_by_set(Jwt const& jwt, SignatureAlgorithm const& algorithm) const;

    std::string prefix_;
};

// What a key is called in a path, as in Dovecot: '.', '/' and '%' as %2e, %2f and %25, "default" for none.
// Absent: a name that is no file's (with a NUL in it, or too long).
std::optional<std::string> key_file_name(std::string_view name);

} // namespace postern::auth_socket
