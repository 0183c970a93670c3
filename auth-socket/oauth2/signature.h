// Signatures of JSON web tokens (RFC 7515, RFC 7518, RFC 8037), and the keys that they are held against.
#pragma once

#include "common/base/error.h"
#include "common/base/secret.h"
#include "common/json/json.h"

#include <memory>
#include <string>
#include <string_view>

namespace postern::auth_socket {

enum class KeyKind { secret, rsa, elliptic_curve, edwards };

struct SignatureAlgorithm {
    std::string_view name; // as "alg" has it
    KeyKind key;           // the only kind that it is ever held against
    char const* digest;    // null: the algorithm's own
    char const* curve;     // of elliptic_curve
    bool pss;
};

// Null for every other name, "none" above all.
SignatureAlgorithm const* find_signature_algorithm(std::string_view name);

// RFC 7518 3.3: RSA keys below 2048 bits must not be used. Secrets shorter than 128 bits can be guessed.
inline constexpr int shortest_rsa_key = 2048;      // bits
inline constexpr std::size_t shortest_secret = 16; // octets

class VerificationKey {
  public:
    // What an HMAC is made with. Permanent error: too short.
    static Result<VerificationKey> of_secret(std::string_view octets);
    // "-----BEGIN PUBLIC KEY-----". Permanent error: not one, or too short.
    static Result<VerificationKey> of_pem(std::string_view text);
    // RFC 7517. Permanent error: broken, or of a kind that no algorithm here uses.
    static Result<VerificationKey> of_jwk(json::Value const& jwk);

    // True only when the key is of the algorithm's kind, so that nobody can pass a public RSA key off as the
    // secret of an HMAC.
    bool verifies(SignatureAlgorithm const& algorithm, std::string_view signed_text,
                  std::string_view signature) const;
    KeyKind kind() const { return kind_; }

  private:
    struct PublicKey; // OpenSSL's
    explicit VerificationKey(std::shared_ptr<PublicKey const> key, KeyKind kind)
        : kind_(kind), public_(std::move(key)) {}
    explicit VerificationKey(Secret secret) : kind_(KeyKind::secret), secret_(std::move(secret)) {}
    static Result<VerificationKey> checked(std::shared_ptr<PublicKey const> key);

    KeyKind kind_;
    std::shared_ptr<PublicKey const> public_;
    Secret secret_;
};

} // namespace postern::auth_socket
