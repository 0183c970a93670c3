// The key record of somebody's DNS (RFC 6376 3.6.1, RFC 8463), and what it verifies.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/sign/keys.h"

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

namespace postern::milter_dkim {

class PublicKey {
  public:
    // Malformed: there is no key to be had from the record. Permanent: it says that it may not be used here.
    // In libopendkim's words.
    static Result<PublicKey> parse(std::string_view record, Algorithm wanted);

    unsigned bits() const { return bits_; }           // 0 for Ed25519
    bool testing() const { return testing_; }         // t=y
    bool only_domain() const { return only_domain_; } // t=s: i= may be in no subdomain
    // The text is what a signature of the key's algorithm covers. An error: OpenSSL could not work.
    Result<bool> verifies(std::string_view text, std::string_view signature) const;

  private:
    std::shared_ptr<EVP_PKEY> key_;
    Algorithm algorithm_ = Algorithm::rsa_sha256;
    unsigned bits_ = 0;
    bool testing_ = false;
    bool only_domain_ = false;
};

// Keys that were read lately, by their records: reading one costs more than what it verifies. Thread-safe.
class PublicKeys {
  public:
    static constexpr std::size_t max_keys = 1000;

    Result<std::shared_ptr<PublicKey const>> get(std::string const& record, Algorithm wanted) const;

  private:
    mutable std::mutex mutex_; // guards keys_
    mutable std::unordered_map<std::string, std::shared_ptr<PublicKey const>> keys_;
};

// Whether a TXT record wants to be a key: other records may stand at the name (RFC 6376 3.6.2.2).
bool has_key(std::string_view record);

} // namespace postern::milter_dkim
