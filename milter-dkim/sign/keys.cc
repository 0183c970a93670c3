// Reads private keys with OpenSSL, and looks at who else could.
#include "milter-dkim/sign/keys.h"

#include "common/base/encoding.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <fmt/format.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <vector>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t max_key_file = 65536; // octets; an RSA-16384 key in PEM has 13,000

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

Bio memory(std::string_view text) {
    return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free};
}

int no_password(char*, int, int, void*) { return 0; }

EVP_PKEY* parse_pem(std::string_view text) {
    auto const bio = memory(text);
    return PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr);
}

EVP_PKEY* parse_der(std::string_view text) {
    std::string packed;
    for (char const c : text)
        if (!is_space(c)) packed += c;
    auto octets = base64_decode(packed);
    wipe(packed);
    if (!octets) return nullptr;
    auto const* at = reinterpret_cast<unsigned char const*>(octets->data());
    EVP_PKEY* key = d2i_AutoPrivateKey(nullptr, &at, static_cast<long>(octets->size()));
    wipe(*octets);
    return key;
}

std::string openssl_reason() {
    char text[256] = "";
    ERR_error_string_n(ERR_peek_last_error(), text, sizeof text);
    ERR_clear_error();
    return text;
}

struct Owner {
    uid_t uid = 0;
    gid_t gid = 0;
};

Owner owner_of_process(std::string const& user) {
    Owner owner{geteuid(), getegid()};
    auto const name = std::string(halve(user, ':').before);
    if (name.empty()) return owner;
    if (passwd const* entry = getpwnam(name.c_str())) return {entry->pw_uid, entry->pw_gid};
    return owner;
}

// Whether somebody else than the user belongs to the group.
bool has_other_members(gid_t gid, std::string const& user) {
    group const* entry = getgrgid(gid);
    if (entry == nullptr) return true;
    auto const name = std::string(halve(user, ':').before);
    for (char** member = entry->gr_mem; member != nullptr && *member != nullptr; ++member)
        if (name != *member && std::string_view(*member) != "root") return true;
    return false;
}

std::string describe(std::string_view what, std::string const& path, std::string_view can,
                     std::string_view mend) {
    return fmt::format("{} {} can be {} by others; run: {} {}", what, path, can, mend, path);
}

// The file: neither readable nor writable by others. A directory: not writable, unless sticky.
std::string fault_of(std::string const& path, bool is_file, Owner const& owner, std::string const& user) {
    struct stat info{};
    if (stat(path.c_str(), &info) != 0) return {};
    auto const what = is_file ? "the key file" : "the directory";
    if (info.st_uid != 0 && info.st_uid != owner.uid)
        return fmt::format(
            "{} {} belongs to uid {}, who is neither root nor the filter's user; run: chown root {}", what,
            path, info.st_uid, path);
    mode_t const others = is_file ? S_IROTH | S_IWOTH : S_IWOTH;
    mode_t const group_bits = is_file ? S_IRGRP | S_IWGRP : S_IWGRP;
    bool const sticky = !is_file && (info.st_mode & S_ISVTX) != 0;
    if ((info.st_mode & others) != 0 && !sticky)
        return describe(what, path, is_file ? "read or written" : "written",
                        is_file ? "chmod o-rwx" : "chmod o-w");
    if ((info.st_mode & group_bits) != 0 && !sticky && info.st_gid != 0 &&
        has_other_members(info.st_gid, user))
        return describe(what, path, is_file ? "read or written" : "written",
                        is_file ? "chmod g-rwx" : "chmod g-w");
    return {};
}

Result<std::string> read_key_text(std::string const& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) return system_error("open " + path, errno, ErrorKind::permanent);
    std::string text(max_key_file + 1, '\0');
    in.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(in.gcount()));
    if (text.size() > max_key_file) return permanent(path + " is too large for a key");
    if (text.empty()) return permanent(path + " is empty or cannot be read");
    return text;
}

} // namespace

std::string_view to_string(Algorithm algorithm) {
    switch (algorithm) {
    case Algorithm::rsa_sha256: return "rsa-sha256";
    case Algorithm::ed25519_sha256: return "ed25519-sha256";
    }
    return "rsa-sha256";
}

void SigningKey::Free::operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }

Result<std::shared_ptr<SigningKey const>> SigningKey::parse(std::string_view text, unsigned minimum_bits) {
    ERR_clear_error();
    auto key = std::make_shared<SigningKey>();
    key->key_.reset(text.contains("-----BEGIN") ? parse_pem(text) : parse_der(text));
    if (!key->key_) return permanent("not a private key in PEM or base64 DER (" + openssl_reason() + ")");
    key->bits_ = static_cast<unsigned>(EVP_PKEY_get_bits(key->get()));
    switch (EVP_PKEY_get_base_id(key->get())) {
    case EVP_PKEY_RSA: key->algorithm_ = Algorithm::rsa_sha256; break;
    case EVP_PKEY_ED25519: key->algorithm_ = Algorithm::ed25519_sha256; break;
    default: return permanent("the key is neither RSA nor Ed25519");
    }
    if (key->algorithm_ == Algorithm::rsa_sha256 && key->bits_ < minimum_bits)
        return permanent(
            fmt::format("the RSA key has {} bits, fewer than MinimumKeyBits {}", key->bits_, minimum_bits));
    return key;
}

std::string SigningKey::public_base64() const {
    std::string octets;
    if (algorithm_ == Algorithm::ed25519_sha256) {
        octets.resize(32);
        std::size_t size = octets.size();
        EVP_PKEY_get_raw_public_key(get(), reinterpret_cast<unsigned char*>(octets.data()), &size);
        return base64_encode(octets);
    }
    unsigned char* der = nullptr;
    int const size = i2d_PUBKEY(get(), &der);
    if (size > 0) octets.assign(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return base64_encode(octets);
}

std::string unsafe_reason(std::string const& path, std::string const& user) {
    std::unique_ptr<char, decltype(&std::free)> const real(realpath(path.c_str(), nullptr), std::free);
    if (!real) return {};
    auto const owner = owner_of_process(user);
    std::string at = real.get();
    if (auto fault = fault_of(at, true, owner, user); !fault.empty()) return fault;
    while (at != "/") {
        at.resize(std::max<std::size_t>(at.rfind('/'), 1));
        if (auto fault = fault_of(at, false, owner, user); !fault.empty()) return fault;
    }
    return {};
}

Result<std::shared_ptr<SigningKey const>> load_key(std::string const& path, KeyPolicy const& policy,
                                                   std::string& warning) {
    auto text = read_key_text(path);
    if (!text) return std::unexpected(text.error());
    if (auto reason = unsafe_reason(path, policy.user); !reason.empty()) {
        if (policy.require_safe) {
            wipe(*text);
            return permanent("key data is not secure: " + reason);
        }
        warning = "key data is not secure: " + reason;
    }
    auto key = SigningKey::parse(*text, policy.minimum_bits);
    wipe(*text);
    if (!key) return permanent("can't load key from " + path + ": " + key.error().text);
    return key;
}

} // namespace postern::milter_dkim
