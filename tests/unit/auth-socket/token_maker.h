// Keys and signed tokens for tests, made with OpenSSL's signing side.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace postern::auth_socket::test {

class TokenKey {
  public:
    static TokenKey rsa(unsigned bits);
    static TokenKey elliptic(char const* curve); // "P-256" ...
    static TokenKey edwards(char const* name);   // "ED25519"

    std::string pem() const;     // the public half
    std::string rsa_jwk() const; // {"kty":"RSA",...} without kid
    // JOSE's signature: r and s side by side for elliptic curves.
    std::string sign(std::string_view algorithm, std::string_view text) const;

  private:
    explicit TokenKey(void* key);
    std::shared_ptr<void> key_;
};

std::string hmac_signature(std::string_view algorithm, std::string_view secret, std::string_view text);

// header.claims.signature; claims as JSON.
std::string signed_token(TokenKey const& key, std::string_view algorithm, std::string_view claims,
                         std::string_view key_id = "");
std::string secret_token(std::string_view secret, std::string_view algorithm, std::string_view claims);
std::string joined_token(std::string_view header, std::string_view claims, std::string_view signature);

} // namespace postern::auth_socket::test
