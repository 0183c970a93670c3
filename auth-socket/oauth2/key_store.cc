// Keys for local validation, in files.
#include "auth-socket/oauth2/key_store.h"

#include "common/base/encoding.h"
#include "common/base/text.h"
#include "common/config/settings.h"

#include <cerrno>

#include <sys/stat.h>

namespace postern::auth_socket {

namespace {

constexpr std::size_t longest_name = 255; // NAME_MAX
constexpr json::Limits set_limits{.octets = 262144, .depth = 8};

Result<VerificationKey> key_in(std::string_view text, KeyKind kind) {
    if (kind != KeyKind::secret) return VerificationKey::of_pem(text);
    // A public key is no secret, whoever put it there.
    if (text.contains("-----BEGIN")) return permanent("a public key where a secret in base64 is to be");
    auto secret = base64_decode(trim(text));
    if (!secret) return permanent("not base64");
    auto key = VerificationKey::of_secret(*secret);
    wipe(*secret);
    return key;
}

// RFC 7517 4.2, 4.4: where a key says what it is for, it is for nothing else.
bool is_meant_for(json::Value const& jwk, Jwt const& jwt) {
    auto const says = [&jwk](std::string_view name, std::string_view wanted) {
        auto const* value = jwk.find(name);
        return value == nullptr || (value->text() != nullptr && *value->text() == wanted);
    };
    if (!says("alg", jwt.algorithm) || !says("use", "sig")) return false;
    return jwt.key_id.empty() || (jwk.find("kid") != nullptr && says("kid", jwt.key_id));
}

} // namespace

std::optional<std::string> key_file_name(std::string_view name) {
    if (name.empty()) return "default";
    if (name.contains('\0')) return std::nullopt;
    auto escaped = replace_all(replace_all(replace_all(name, "%", "%25"), "/", "%2f"), ".", "%2e");
    if (escaped.size() > longest_name) return std::nullopt;
    return escaped;
}

Result<KeyStore> KeyStore::of_dict(std::string_view dict) {
    constexpr std::string_view known = "fs:posix:";
    if (!dict.starts_with(known)) return permanent("only fs:posix:prefix=DIRECTORY/ is known");
    for (auto const argument : split(dict.substr(known.size()), ':'))
        if (argument.starts_with("prefix=/")) return KeyStore(std::string(argument.substr(7)));
    return permanent("fs:posix needs prefix=/...");
}

Result<bool> KeyStore::verifies(Jwt const& jwt) const {
    auto const* algorithm = find_signature_algorithm(jwt.algorithm);
    if (algorithm == nullptr) return false;
    struct stat status{};
    if (::stat(prefix_.c_str(), &status) != 0) return system_error(prefix_, errno);
    return S_ISREG(status.st_mode) ? verifies_by_set(jwt, *algorithm) : verifies_by_file(jwt, *algorithm);
}

Result<bool> KeyStore::verifies_by_file(Jwt const& jwt, SignatureAlgorithm const& algorithm) const {
    auto const party = key_file_name(jwt.authorized_party);
    auto const id = key_file_name(jwt.key_id);
    if (!party || !id) return false;
    auto const path = prefix_ + *party + "/" + to_upper(algorithm.name) + "/" + *id;
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) {
        if (errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG) return false;
        return system_error(path, errno);
    }
    auto text = config::read_file(path);
    if (!text) return temporary(text.error().text);
    auto const key = key_in(*text, algorithm.key);
    wipe(*text);
    if (!key) return temporary(path + ": " + key.error().text);
    return key->verifies(algorithm, jwt.signed_text, jwt.signature);
}

Result<bool> KeyStore::verifies_by_set(Jwt const& jwt, SignatureAlgorithm const& algorithm) const {
    auto const text = config::read_file(prefix_);
    if (!text) return temporary(text.error().text);
    auto const set = json::parse(*text, set_limits);
    auto const* keys = set ? set->find("keys") : nullptr;
    if (keys == nullptr || keys->array() == nullptr) return temporary(prefix_ + ": not a JWK set");
    std::optional<std::string> broken; // the very key that the token names
    for (auto const& jwk : *keys->array()) {
        if (!is_meant_for(jwk, jwt)) continue;
        auto const key = VerificationKey::of_jwk(jwk);
        if (key && key->verifies(algorithm, jwt.signed_text, jwt.signature)) return true;
        if (!key && !jwt.key_id.empty()) broken = key.error().text;
    }
    if (broken) return temporary(prefix_ + ": kid " + printable(jwt.key_id, 80) + ": " + *broken);
    return false;
}

} // namespace postern::auth_socket
