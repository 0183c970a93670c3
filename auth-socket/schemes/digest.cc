// Digests, HMAC and key derivation on OpenSSL.
#include "auth-socket/schemes/kinds.h"

#include "common/base/encoding.h"
#include "common/base/text.h"

#include <array>
#include <map>
#include <memory>

// MD4 is only in OpenSSL's legacy provider, and CRAM-MD5 stores the inner state of MD5: both need the old
// interface, which OpenSSL 3 still has.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/md4.h>
#include <openssl/md5.h>

namespace postern::auth_socket::kinds {

namespace {

unsigned char const* octets(std::string_view text) {
    return reinterpret_cast<unsigned char const*>(text.data());
}

std::string text_of(unsigned char const* data, std::size_t size) {
    return {reinterpret_cast<char const*>(data), size};
}

void append_little_endian(std::string& out, unsigned word) {
    for (int shift = 0; shift < 32; shift += 8) out += static_cast<char>(word >> shift);
}

// MD5's state after one block of key material.
std::string md5_state_after(std::string_view block) {
    MD5_CTX context;
    MD5_Init(&context);
    MD5_Update(&context, block.data(), block.size());
    std::string state;
    for (auto const word : {context.A, context.B, context.C, context.D}) append_little_endian(state, word);
    OPENSSL_cleanse(&context, sizeof context);
    return state;
}

// MD5 going on from such a state: 64 octets are behind it already.
std::string md5_resumed(std::string_view state, std::string_view text) {
    std::array<unsigned, 4> words{};
    for (std::size_t i = 0; i < 16; ++i)
        words[i / 4] |= static_cast<unsigned>(static_cast<unsigned char>(state[i])) << (i % 4 * 8);
    MD5_CTX context;
    MD5_Init(&context);
    context.A = words[0];
    context.B = words[1];
    context.C = words[2];
    context.D = words[3];
    context.Nl = 64 * 8;
    MD5_Update(&context, text.data(), text.size());
    std::array<unsigned char, MD5_DIGEST_LENGTH> out{};
    MD5_Final(out.data(), &context);
    OPENSSL_cleanse(&context, sizeof context);
    return text_of(out.data(), out.size());
}

// OpenSSL 3 looks an algorithm up by its name at each use, which costs more than the digest of a password.
EVP_MD const* fetched(std::string_view name) {
    static auto const known = [] {
        std::map<std::string, std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)>, std::less<>> all;
        for (auto const* each : {"MD5", "SHA1", "SHA256", "SHA512"})
            all.emplace(each, std::unique_ptr<EVP_MD, decltype(&EVP_MD_free)>(
                                  EVP_MD_fetch(nullptr, each, nullptr), EVP_MD_free));
        return all;
    }();
    auto const at = known.find(name);
    return at == known.end() ? EVP_get_digestbyname(std::string(name).c_str()) : at->second.get();
}

} // namespace

std::string digest(char const* name, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    auto const* kind = fetched(name);
    if (kind == nullptr || EVP_Digest(text.data(), text.size(), out.data(), &size, kind, nullptr) != 1)
        return {};
    return text_of(out.data(), size);
}

std::string md4(std::string_view text) {
    std::array<unsigned char, MD4_DIGEST_LENGTH> out{};
    MD4(octets(text), text.size(), out.data());
    return text_of(out.data(), out.size());
}

std::string md5(std::string_view text) {
    std::array<unsigned char, MD5_DIGEST_LENGTH> out{};
    MD5(octets(text), text.size(), out.data());
    return text_of(out.data(), out.size());
}

std::string hmac(char const* digest_name, std::string_view key, std::string_view text) {
    std::array<unsigned char, EVP_MAX_MD_SIZE> out{};
    unsigned size = 0;
    if (HMAC(fetched(digest_name), key.data(), static_cast<int>(key.size()), octets(text), text.size(),
             out.data(), &size) == nullptr)
        return {};
    return text_of(out.data(), size);
}

std::string pbkdf2(char const* digest_name, std::string_view password, std::string_view salt, unsigned rounds,
                   std::size_t size) {
    std::string out(size, '\0');
    if (PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), octets(salt),
                          static_cast<int>(salt.size()), static_cast<int>(rounds), fetched(digest_name),
                          static_cast<int>(size), reinterpret_cast<unsigned char*>(out.data())) != 1)
        return {};
    return out;
}

std::string cram_md5_state(std::string_view password) {
    constexpr std::size_t block = 64;
    std::string key; // with room for all of it at once: a growing string would leave the password behind
    key.reserve(block);
    if (password.size() > block)
        key.append(md5(password));
    else
        key.append(password);
    key.resize(block, '\0');
    std::string outer = key, inner = key;
    for (auto& c : outer) c = static_cast<char>(c ^ 0x5c);
    for (auto& c : inner) c = static_cast<char>(c ^ 0x36);
    auto state = md5_state_after(outer) + md5_state_after(inner);
    for (auto* secret : {&key, &outer, &inner}) wipe(*secret);
    return state;
}

std::string cram_md5_response(std::string_view state, std::string_view text) {
    if (state.size() != 32) return {};
    return md5_resumed(state.substr(0, 16), md5_resumed(state.substr(16), text));
}

std::string digest_md5_key(std::string_view user, std::string_view password) {
    auto const [name, realm] = halve(user, '@');
    std::string text;
    text.reserve(user.size() + password.size() + 2);
    text.append(name).append(":").append(realm.value_or("")).append(":").append(password);
    auto key = md5(text);
    wipe(text);
    return key;
}

ScramKeys make_scram_keys(char const* digest_name, std::string_view password, std::string_view salt,
                          unsigned iterations) {
    auto const* kind = fetched(digest_name);
    auto salted =
        pbkdf2(digest_name, password, salt, iterations, static_cast<std::size_t>(EVP_MD_get_size(kind)));
    auto client_key = hmac(digest_name, salted, "Client Key");
    ScramKeys keys{iterations, std::string(salt), digest(digest_name, client_key),
                   hmac(digest_name, salted, "Server Key")};
    wipe(salted);
    wipe(client_key);
    return keys;
}

std::optional<ScramKeys> read_scram_keys(std::string_view stored) {
    auto const pieces = split(stored, ',');
    if (pieces.size() != 4) return std::nullopt;
    auto const iterations = parse_number<unsigned>(pieces[0]);
    auto salt = base64_decode(pieces[1]);
    auto stored_key = base64_decode(pieces[2]);
    auto server_key = base64_decode(pieces[3]);
    if (!iterations || *iterations == 0 || !salt || !stored_key || !server_key) return std::nullopt;
    return ScramKeys{*iterations, std::move(*salt), std::move(*stored_key), std::move(*server_key)};
}

std::string write_scram_keys(ScramKeys const& keys) {
    return std::to_string(keys.iterations) + "," + base64_encode(keys.salt) + "," +
           base64_encode(keys.stored_key) + "," + base64_encode(keys.server_key);
}

} // namespace postern::auth_socket::kinds
