// Reads key records and verifies with OpenSSL.
#include "milter-dkim/verify/public_key.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "milter-dkim/message/canonical.h"
#include "milter-dkim/message/signature_field.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <algorithm>
#include <initializer_list>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t ed25519_octets = 32;

bool lists_any(std::string_view list, std::initializer_list<std::string_view> wanted) {
    return std::ranges::any_of(split(list, ':'), [&](std::string_view each) {
        return std::ranges::any_of(wanted, [&](auto name) { return equals_ignoring_case(trim(each), name); });
    });
}

// The order of the questions is libopendkim's, so that the same record gets the same reason.
Result<> check_use(TagList const& tags, Algorithm wanted) {
    if (auto const version = tags.find("v"); version && *version != "DKIM1")
        return permanent("unknown key version");
    if (auto const hashes = tags.find("h"); hashes && !lists_any(*hashes, {"sha256"}))
        return permanent(lists_any(*hashes, {"sha1"}) ? "signature-key hash mismatch" : "unknown key hash");
    if (auto const services = tags.find("s"); services && !lists_any(*services, {"email", "*"}))
        return permanent("not an e-mail key");
    auto const type = to_lower(tags.find("k").value_or("rsa"));
    if (type != "rsa" && type != "ed25519") return permanent("unknown key type");
    if (tags.find("p").value_or("-").empty()) return permanent("key revoked");
    if (type != (wanted == Algorithm::rsa_sha256 ? "rsa" : "ed25519"))
        return malformed("the key is of another type than the signature");
    return {};
}

// As libopendkim does, octets that are no base64 are passed over: records with quotes and backslashes in p=
// have always worked.
std::optional<std::string> key_octets(std::string_view value) {
    std::string packed;
    for (char const c : value)
        if (is_alnum(c) || c == '+' || c == '/') packed += c;
    while (packed.size() % 4 != 0) packed += '=';
    return base64_decode(packed);
}

// RFC 6376 3.6.1 says RSAPublicKey, and everybody publishes SubjectPublicKeyInfo.
EVP_PKEY* rsa_key(std::string const& der) {
    auto const* at = reinterpret_cast<unsigned char const*>(der.data());
    auto const size = static_cast<long>(der.size());
    if (auto* key = d2i_PUBKEY(nullptr, &at, size)) return key;
    at = reinterpret_cast<unsigned char const*>(der.data());
    return d2i_PublicKey(EVP_PKEY_RSA, nullptr, &at, size);
}

EVP_PKEY* parse_key(std::string const& octets, Algorithm algorithm) {
    if (algorithm == Algorithm::rsa_sha256) return rsa_key(octets);
    if (octets.size() != ed25519_octets) return nullptr;
    return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr,
                                       reinterpret_cast<unsigned char const*>(octets.data()), octets.size());
}

} // namespace

Result<PublicKey> PublicKey::parse(std::string_view record, Algorithm wanted) {
    auto const tags = TagList::parse(record);
    if (!tags) return permanent("key DNS reply corrupt");
    auto const data = tags->find("p");
    if (!data) return malformed("the record has no p=");
    if (auto good = check_use(*tags, wanted); !good) return std::unexpected(std::move(good.error()));
    PublicKey key;
    key.algorithm_ = wanted;
    if (auto const octets = key_octets(*data)) key.key_.reset(parse_key(*octets, wanted), EVP_PKEY_free);
    ERR_clear_error();
    auto const type = wanted == Algorithm::rsa_sha256 ? EVP_PKEY_RSA : EVP_PKEY_ED25519;
    if (!key.key_ || EVP_PKEY_get_base_id(key.key_.get()) != type) return malformed("p= holds no such key");
    if (wanted == Algorithm::rsa_sha256) key.bits_ = static_cast<unsigned>(EVP_PKEY_get_bits(key.key_.get()));
    auto const flags = tags->find("t").value_or("");
    key.testing_ = lists_any(flags, {"y"});
    key.only_domain_ = lists_any(flags, {"s"});
    return key;
}

Result<bool> PublicKey::verifies(std::string_view text, std::string_view signature) const {
    bool const rsa = algorithm_ == Algorithm::rsa_sha256;
    // RFC 8463 3: Ed25519 signs the hash.
    auto const digest = rsa ? std::string() : sha256(text);
    auto const input = rsa ? text : std::string_view(digest);
    std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> const context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    if (!context || EVP_DigestVerifyInit(context.get(), nullptr, rsa ? EVP_sha256() : nullptr, nullptr,
                                         key_.get()) != 1) {
        ERR_clear_error();
        return temporary("OpenSSL cannot verify");
    }
    auto const as_octets = [](std::string_view each) {
        return reinterpret_cast<unsigned char const*>(each.data());
    };
    bool const good = EVP_DigestVerify(context.get(), as_octets(signature), signature.size(),
                                       as_octets(input), input.size()) == 1;
    ERR_clear_error();
    return good;
}

Result<std::shared_ptr<PublicKey const>> PublicKeys::get(std::string const& record, Algorithm wanted) const {
    auto const name = std::string(to_string(wanted)) + record;
    {
        std::lock_guard const lock(mutex_);
        if (auto const found = keys_.find(name); found != keys_.end()) return found->second;
    }
    auto key = PublicKey::parse(record, wanted);
    if (!key) return std::unexpected(std::move(key.error()));
    auto made = std::make_shared<PublicKey const>(std::move(*key));
    std::lock_guard const lock(mutex_);
    if (keys_.size() >= max_keys) keys_.clear();
    return keys_.emplace(name, std::move(made)).first->second;
}

bool has_key(std::string_view record) {
    return std::ranges::any_of(split(record, ';'), [](std::string_view piece) {
        auto const halves = halve(piece, '=');
        return halves.after && trim(halves.before) == "p";
    });
}

} // namespace postern::milter_dkim
