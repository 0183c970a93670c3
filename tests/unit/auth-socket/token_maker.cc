// Keys and signed tokens for tests.
#include "tests/unit/auth-socket/token_maker.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "tests/unit/support/catch.h"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <vector>

namespace postern::auth_socket::test {

namespace {

EVP_PKEY* raw(std::shared_ptr<void> const& key) { return static_cast<EVP_PKEY*>(key.get()); }

std::string number(EVP_PKEY* key, char const* name) {
    BIGNUM* value = nullptr;
    REQUIRE(EVP_PKEY_get_bn_param(key, name, &value) == 1);
    std::string octets(static_cast<std::size_t>(BN_num_bytes(value)), '\0');
    BN_bn2bin(value, reinterpret_cast<unsigned char*>(octets.data()));
    BN_free(value);
    return octets;
}

std::string side_by_side(EVP_PKEY* key, std::string const& der) {
    auto const* data = reinterpret_cast<unsigned char const*>(der.data());
    auto* signature = d2i_ECDSA_SIG(nullptr, &data, static_cast<long>(der.size()));
    REQUIRE(signature != nullptr);
    auto const size = (EVP_PKEY_get_bits(key) + 7) / 8;
    std::vector<unsigned char> octets(2 * static_cast<std::size_t>(size));
    BN_bn2binpad(ECDSA_SIG_get0_r(signature), octets.data(), size);
    BN_bn2binpad(ECDSA_SIG_get0_s(signature), octets.data() + size, size);
    ECDSA_SIG_free(signature);
    return {octets.begin(), octets.end()};
}

char const* digest_of(std::string_view algorithm) {
    return algorithm.ends_with("256") ? "SHA256" : algorithm.ends_with("384") ? "SHA384" : "SHA512";
}

} // namespace

TokenKey::TokenKey(void* key) : key_(key, [](void* each) { EVP_PKEY_free(static_cast<EVP_PKEY*>(each)); }) {
    REQUIRE(key != nullptr);
}
TokenKey TokenKey::rsa(unsigned bits) { return TokenKey(EVP_RSA_gen(bits)); }
TokenKey TokenKey::elliptic(char const* curve) { return TokenKey(EVP_EC_gen(curve)); }
TokenKey TokenKey::edwards(char const* name) { return TokenKey(EVP_PKEY_Q_keygen(nullptr, nullptr, name)); }

std::string TokenKey::pem() const {
    auto* buffer = BIO_new(BIO_s_mem());
    REQUIRE(PEM_write_bio_PUBKEY(buffer, raw(key_)) == 1);
    char* data = nullptr;
    auto const size = BIO_get_mem_data(buffer, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(buffer);
    return text;
}

std::string TokenKey::rsa_jwk() const {
    return R"({"kty":"RSA","n":")" + base64url_encode(number(raw(key_), OSSL_PKEY_PARAM_RSA_N)) +
           R"(","e":")" + base64url_encode(number(raw(key_), OSSL_PKEY_PARAM_RSA_E)) + R"("})";
}

std::string TokenKey::sign(std::string_view algorithm, std::string_view text) const {
    auto* context = EVP_MD_CTX_new();
    EVP_PKEY_CTX* key_context = nullptr;
    auto const* digest = algorithm == "EdDSA" ? nullptr : digest_of(algorithm);
    REQUIRE(EVP_DigestSignInit_ex(context, &key_context, digest, nullptr, nullptr, raw(key_), nullptr) == 1);
    if (algorithm.starts_with("PS")) {
        REQUIRE(EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1);
        REQUIRE(EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1);
    }
    auto const* data = reinterpret_cast<unsigned char const*>(text.data());
    std::size_t size = 0;
    REQUIRE(EVP_DigestSign(context, nullptr, &size, data, text.size()) == 1);
    std::string signature(size, '\0');
    REQUIRE(EVP_DigestSign(context, reinterpret_cast<unsigned char*>(signature.data()), &size, data,
                           text.size()) == 1);
    signature.resize(size);
    EVP_MD_CTX_free(context);
    return algorithm.starts_with("ES") ? side_by_side(raw(key_), signature) : signature;
}

std::string hmac_signature(std::string_view algorithm, std::string_view secret, std::string_view text) {
    return kinds::hmac(digest_of(algorithm), secret, text);
}

std::string joined_token(std::string_view header, std::string_view claims, std::string_view signature) {
    return base64url_encode(header) + "." + base64url_encode(claims) + "." + base64url_encode(signature);
}

std::string signed_token(TokenKey const& key, std::string_view algorithm, std::string_view claims,
                         std::string_view key_id) {
    auto header = R"({"typ":"JWT","alg":")" + std::string(algorithm) + "\"";
    if (!key_id.empty()) header += R"(,"kid":")" + std::string(key_id) + "\"";
    header += "}";
    auto const text = base64url_encode(header) + "." + base64url_encode(claims);
    return text + "." + base64url_encode(key.sign(algorithm, text));
}

std::string secret_token(std::string_view secret, std::string_view algorithm, std::string_view claims) {
    auto const text =
        base64url_encode(R"({"alg":")" + std::string(algorithm) + "\"}") + "." + base64url_encode(claims);
    return text + "." + base64url_encode(hmac_signature(algorithm, secret, text));
}

} // namespace postern::auth_socket::test
