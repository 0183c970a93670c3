// Key generation through OpenSSL's EVP.
#include "milter-dkim/tools/new_key.h"

#include "common/base/text.h"

#include <fmt/format.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <memory>

namespace postern::milter_dkim::tools {

namespace {

std::unexpected<Error> openssl_error(std::string_view what) {
    std::array<char, 256> text{};
    ERR_error_string_n(ERR_get_error(), text.data(), text.size());
    ERR_clear_error();
    return permanent(fmt::format("{}: {}", what, text.data()));
}

} // namespace

std::string_view to_string(KeyType type) { return type == KeyType::rsa ? "rsa" : "ed25519"; }

Result<KeyType> parse_key_type(std::string_view text) {
    if (equals_ignoring_case(text, "rsa")) return KeyType::rsa;
    if (equals_ignoring_case(text, "ed25519")) return KeyType::ed25519;
    return permanent(fmt::format("unknown key type \"{}\"; rsa or ed25519", printable(text)));
}

Result<Secret> new_private_key(KeyType type, int rsa_bits) {
    if (type == KeyType::rsa && (rsa_bits < smallest_rsa_bits || rsa_bits > largest_rsa_bits))
        return permanent(fmt::format("an RSA key of {} bits cannot be made: {} to {}", rsa_bits,
                                     smallest_rsa_bits, largest_rsa_bits));
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> const key(
        type == KeyType::rsa ? EVP_RSA_gen(static_cast<unsigned>(rsa_bits))
                             : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"),
        EVP_PKEY_free);
    if (key == nullptr) return openssl_error("making a key");
    std::unique_ptr<BIO, decltype(&BIO_free)> const bio(BIO_new(BIO_s_secmem()), BIO_free);
    if (bio == nullptr ||
        PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
        return openssl_error("writing a private key");
    char* text = nullptr;
    auto const size = BIO_get_mem_data(bio.get(), &text);
    return Secret(std::string_view(text, static_cast<std::size_t>(size)));
}

} // namespace postern::milter_dkim::tools
