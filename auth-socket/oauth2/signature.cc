// Signatures of JSON web tokens on OpenSSL 3.
#include "auth-socket/oauth2/signature.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <optional>

namespace postern::auth_socket {

namespace {

constexpr SignatureAlgorithm algorithms[] = {
    {"HS256", KeyKind::secret, "SHA256", nullptr, false},
    {"HS384", KeyKind::secret, "SHA384", nullptr, false},
    {"HS512", KeyKind::secret, "SHA512", nullptr, false},
    {"RS256", KeyKind::rsa, "SHA256", nullptr, false},
    {"RS384", KeyKind::rsa, "SHA384", nullptr, false},
    {"RS512", KeyKind::rsa, "SHA512", nullptr, false},
    {"PS256", KeyKind::rsa, "SHA256", nullptr, true},
    {"PS384", KeyKind::rsa, "SHA384", nullptr, true},
    {"PS512", KeyKind::rsa, "SHA512", nullptr, true},
    {"ES256", KeyKind::elliptic_curve, "SHA256", "prime256v1", false},
    {"ES384", KeyKind::elliptic_curve, "SHA384", "secp384r1", false},
    {"ES512", KeyKind::elliptic_curve, "SHA512", "secp521r1", false},
    {"EdDSA", KeyKind::edwards, nullptr, nullptr, false},
};

template <auto release>
struct Releaser {
    template <class T>
    void operator()(T* handle) const {
        release(handle);
    }
};
template <class T, auto release>
using Handle = std::unique_ptr<T, Releaser<release>>;
using Key = Handle<EVP_PKEY, EVP_PKEY_free>;
using Number = Handle<BIGNUM, BN_free>;
using Buffer = Handle<BIO, BIO_free>;

unsigned char const* octets(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

Number number(std::string_view big_endian) {
    return Number(BN_bin2bn(octets(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

// RFC 7518 3.4: r and s one behind the other, each as long as the curve's order; OpenSSL wants DER.
std::optional<std::string> der_of_ecdsa(EVP_PKEY const* key, std::string_view signature) {
    auto const size = static_cast<std::size_t>((EVP_PKEY_get_bits(key) + 7) / 8);
    if (signature.size() != 2 * size) return std::nullopt;
    Handle<ECDSA_SIG, ECDSA_SIG_free> const made(ECDSA_SIG_new());
    auto r = number(signature.substr(0, size));
    auto s = number(signature.substr(size));
    if (!made || !r || !s || ECDSA_SIG_set0(made.get(), r.get(), s.get()) != 1) return std::nullopt;
    (void)r.release();
    (void)s.release();
    unsigned char* der = nullptr;
    auto const length = i2d_ECDSA_SIG(made.get(), &der);
    if (length <= 0) return std::nullopt;
    std::string text(reinterpret_cast<char const*>(der), static_cast<std::size_t>(length));
    OPENSSL_free(der);
    return text;
}

bool is_curve(EVP_PKEY const* key, char const* name) {
    std::array<char, 64> group{};
    std::size_t size = 0;
    return EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group.data(), group.size(),
                                          &size) == 1 &&
           std::string_view(group.data(), size) == name;
}

std::optional<std::string> member_octets(json::Value const& jwk, std::string_view name) {
    auto const* value = jwk.find(name);
    return value != nullptr && value->text() != nullptr ? base64url_decode(*value->text()) : std::nullopt;
}

std::string member_text(json::Value const& jwk, std::string_view name) {
    auto const* value = jwk.find(name);
    return value != nullptr && value->text() != nullptr ? *value->text() : std::string();
}

Key key_from(char const* kind, OSSL_PARAM_BLD* builder) {
    Handle<OSSL_PARAM, OSSL_PARAM_free> const parameters(OSSL_PARAM_BLD_to_param(builder));
    Handle<EVP_PKEY_CTX, EVP_PKEY_CTX_free> const context(EVP_PKEY_CTX_new_from_name(nullptr, kind, nullptr));
    EVP_PKEY* made = nullptr;
    if (!parameters || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, parameters.get()) != 1)
        return nullptr;
    return Key(made);
}

Key rsa_key(json::Value const& jwk) {
    auto const modulus = member_octets(jwk, "n");
    auto const exponent = member_octets(jwk, "e");
    if (!modulus || !exponent) return nullptr;
    auto const n = number(*modulus);
    auto const e = number(*exponent);
    Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> const builder(OSSL_PARAM_BLD_new());
    if (!builder || !n || !e || OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1)
        return nullptr;
    return key_from("RSA", builder.get());
}

Key elliptic_key(json::Value const& jwk) {
    auto const curve = member_text(jwk, "crv");
    auto const* name = curve == "P-256"   ? "prime256v1"
                       : curve == "P-384" ? "secp384r1"
                       : curve == "P-521" ? "secp521r1"
                                          : nullptr;
    auto const x = member_octets(jwk, "x");
    auto const y = member_octets(jwk, "y");
    if (name == nullptr || !x || !y || x->size() != y->size()) return nullptr;
    auto const point = "\x04" + *x + *y; // uncompressed, SEC 1 2.3.3
    Handle<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free> const builder(OSSL_PARAM_BLD_new());
    if (!builder ||
        OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, name, 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                         point.size()) != 1)
        return nullptr;
    return key_from("EC", builder.get());
}

Key edwards_key(json::Value const& jwk) {
    auto const curve = member_text(jwk, "crv");
    auto const* name = curve == "Ed25519" ? "ED25519" : curve == "Ed448" ? "ED448" : nullptr;
    auto const x = member_octets(jwk, "x");
    if (name == nullptr || !x) return nullptr;
    return Key(EVP_PKEY_new_raw_public_key_ex(nullptr, name, nullptr, octets(*x), x->size()));
}

std::optional<KeyKind> kind_of(EVP_PKEY const* key) {
    if (EVP_PKEY_is_a(key, "RSA") == 1 || EVP_PKEY_is_a(key, "RSA-PSS") == 1) return KeyKind::rsa;
    if (EVP_PKEY_is_a(key, "EC") == 1) return KeyKind::elliptic_curve;
    if (EVP_PKEY_is_a(key, "ED25519") == 1 || EVP_PKEY_is_a(key, "ED448") == 1) return KeyKind::edwards;
    return std::nullopt;
}

bool set_padding(EVP_PKEY_CTX* context, SignatureAlgorithm const& algorithm) {
    if (algorithm.key != KeyKind::rsa) return true;
    if (EVP_PKEY_CTX_set_rsa_padding(context, algorithm.pss ? RSA_PKCS1_PSS_PADDING : RSA_PKCS1_PADDING) != 1)
        return false;
    // RFC 7518 3.5: the salt is as long as the digest.
    return !algorithm.pss || EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1;
}

} // namespace

struct VerificationKey::PublicKey {
    Key key;
};

SignatureAlgorithm const* find_signature_algorithm(std::string_view name) {
    for (auto const& each : algorithms)
        if (each.name == name) return &each;
    return nullptr;
}

Result<VerificationKey> VerificationKey::of_secret(std::string_view text) {
    if (text.size() < shortest_secret)
        return permanent("a secret of less than " + std::to_string(shortest_secret) + " octets");
    return VerificationKey(Secret(text));
}

Result<VerificationKey> VerificationKey::checked(std::shared_ptr<PublicKey const> key) {
    if (!key->key) return permanent("not a public key");
    auto const kind = kind_of(key->key.get());
    if (!kind) return permanent("a public key of a kind that no algorithm uses");
    if (*kind == KeyKind::rsa && EVP_PKEY_get_bits(key->key.get()) < shortest_rsa_key)
        return permanent("an RSA key of less than " + std::to_string(shortest_rsa_key) + " bits");
    return VerificationKey(std::move(key), *kind);
}

Result<VerificationKey> VerificationKey::of_pem(std::string_view text) {
    Buffer const buffer(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
    auto const no_password = [](char*, int, int, void*) { return 0; };
    return checked(std::make_shared<PublicKey const>(
        PublicKey{Key(PEM_read_bio_PUBKEY(buffer.get(), nullptr, no_password, nullptr))}));
}

Result<VerificationKey> VerificationKey::of_jwk(json::Value const& jwk) {
    auto const kind = member_text(jwk, "kty");
    if (kind == "oct") {
        auto const secret = member_octets(jwk, "k");
        return secret ? of_secret(*secret) : permanent("not a secret key");
    }
    auto key = kind == "RSA"   ? rsa_key(jwk)
               : kind == "EC"  ? elliptic_key(jwk)
               : kind == "OKP" ? edwards_key(jwk)
                               : nullptr;
    return checked(std::make_shared<PublicKey const>(PublicKey{std::move(key)}));
}

bool VerificationKey::verifies(SignatureAlgorithm const& algorithm, std::string_view signed_text,
                               std::string_view signature) const {
    if (algorithm.key != kind_) return false;
    if (kind_ == KeyKind::secret)
        return equal_in_constant_time(kinds::hmac(algorithm.digest, secret_.reveal(), signed_text),
                                      signature);
    auto* key = public_->key.get();
    std::string der;
    if (kind_ == KeyKind::elliptic_curve) {
        if (!is_curve(key, algorithm.curve)) return false;
        auto made = der_of_ecdsa(key, signature);
        if (!made) return false;
        der = std::move(*made);
        signature = der;
    }
    Handle<EVP_MD_CTX, EVP_MD_CTX_free> const context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* key_context = nullptr; // the digest context's
    return context &&
           EVP_DigestVerifyInit_ex(context.get(), &key_context, algorithm.digest, nullptr, nullptr, key,
                                   nullptr) == 1 &&
           set_padding(key_context, algorithm) &&
           EVP_DigestVerify(context.get(), octets(signature), signature.size(), octets(signed_text),
                            signed_text.size()) == 1;
}

} // namespace postern::auth_socket
