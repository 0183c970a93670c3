// Private keys: read and checked once per configuration, kept ready for signing.
#pragma once

#include "common/base/error.h"

#include <memory>
#include <string>
#include <string_view>

typedef struct evp_pkey_st EVP_PKEY;

namespace postern::milter_dkim {

enum class Algorithm { rsa_sha256, ed25519_sha256 };
std::string_view to_string(Algorithm algorithm); // as in a=

// Immutable; one EVP_PKEY may sign in many threads at once.
class SigningKey {
  public:
    // PEM ("-----BEGIN ..."), or base64 DER without lines, as stock's KeyTable takes it. RSA keys of at least
    // minimum_bits, and Ed25519 keys (RFC 8463); the error says what is wrong with it.
    static Result<std::shared_ptr<SigningKey const>> parse(std::string_view text, unsigned minimum_bits);

    Algorithm algorithm() const { return algorithm_; }
    unsigned bits() const { return bits_; }
    EVP_PKEY* get() const { return key_.get(); }
    // What belongs into the DNS record's p=.
    std::string public_base64() const;

  private:
    struct Free {
        void operator()(EVP_PKEY* key) const;
    };
    std::unique_ptr<EVP_PKEY, Free> key_;
    Algorithm algorithm_ = Algorithm::rsa_sha256;
    unsigned bits_ = 0;
};

struct KeyPolicy {
    unsigned minimum_bits = 1024;
    bool require_safe = true;
    std::string user; // who will read the keys ("user[:group]"); empty: this process's user
};

// Whether others than root and the user could read or replace the file: absent when it is safe, else one
// sentence that names the file or directory at fault and the command that mends it.
std::string unsafe_reason(std::string const& path, std::string const& user);

// Reads a key file. warning gets unsafe_reason() when the policy does not refuse it.
Result<std::shared_ptr<SigningKey const>> load_key(std::string const& path, KeyPolicy const& policy,
                                                   std::string& warning);

} // namespace postern::milter_dkim
