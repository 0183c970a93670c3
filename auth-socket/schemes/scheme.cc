// The table of password schemes.
#include "auth-socket/schemes/scheme.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <algorithm>

namespace postern::auth_socket {

namespace {

using Attempt = PasswordAttempt;
using Options = GenerateOptions;
using Made = Result<std::string>;

Result<bool> verify_plain(std::string_view stored, Attempt const& attempt) {
    return equal_in_constant_time(stored, attempt.password);
}
Made generate_plain(Attempt const& attempt, Options const&) { return std::string(attempt.password); }

// "10-Test-Pa55 " matches every password of ten octets and more that begins so.
Result<bool> verify_truncated(std::string_view stored, Attempt const& attempt) {
    auto const [size, prefix] = halve(stored, '-');
    auto const length = parse_number<std::size_t>(size);
    if (!length || !prefix) return false;
    if (attempt.password.size() != *length || attempt.password.size() < prefix->size()) return false;
    return equal_in_constant_time(attempt.password.substr(0, prefix->size()), *prefix);
}

template <std::string (*hash)(std::string_view)>
Result<bool> verify_hash(std::string_view stored, Attempt const& attempt) {
    return equal_in_constant_time(hash(attempt.password), stored);
}
template <std::string (*hash)(std::string_view)>
Made generate_hash(Attempt const& attempt, Options const&) {
    return hash(attempt.password);
}
std::string sha1(std::string_view text) { return kinds::digest("SHA1", text); }
std::string sha256(std::string_view text) { return kinds::digest("SHA256", text); }
std::string sha512(std::string_view text) { return kinds::digest("SHA512", text); }

// digest(password, salt) followed by the salt.
template <std::string (*hash)(std::string_view), std::size_t size>
Result<bool> verify_salted(std::string_view stored, Attempt const& attempt) {
    if (stored.size() <= size) return permanent("a salted digest without salt");
    auto const salt = stored.substr(size);
    std::string text; // with room for all of it at once: a growing string would leave the password behind
    text.reserve(attempt.password.size() + salt.size());
    text.append(attempt.password).append(salt);
    auto const same = equal_in_constant_time(hash(text), stored.substr(0, size));
    wipe(text);
    return same;
}
template <std::string (*hash)(std::string_view), std::size_t size>
Made generate_salted(Attempt const& attempt, Options const&) {
    auto const salt = random_octets(kinds::salt_size);
    return hash(std::string(attempt.password) + salt) + salt;
}

Made generate_des(Attempt const& attempt, Options const&) {
    return kinds::generate_crypt("", 0, attempt.password);
}
Made generate_md5_crypt(Attempt const& attempt, Options const&) {
    return kinds::generate_crypt("$1$", 0, attempt.password);
}
Made generate_sha256_crypt(Attempt const& attempt, Options const& options) {
    return kinds::generate_crypt("$5$", options.rounds, attempt.password);
}
Made generate_sha512_crypt(Attempt const& attempt, Options const& options) {
    return kinds::generate_crypt("$6$", options.rounds, attempt.password);
}
Made generate_bcrypt(Attempt const& attempt, Options const& options) {
    return kinds::generate_crypt("$2y$", options.rounds == 0 ? 5 : options.rounds, attempt.password);
}

// {MD5} has two meanings: MD5-CRYPT where the value says so, else the hexadecimal digest.
Result<bool> verify_md5(std::string_view stored, Attempt const& attempt) {
    if (stored.starts_with("$1$")) return kinds::verify_crypt(stored, attempt);
    auto const raw = stored.size() == 32 ? hex_decode(stored) : base64_decode(stored);
    if (!raw || raw->size() != 16) return permanent("not an MD5 digest");
    return verify_hash<kinds::md5>(*raw, attempt);
}

Result<bool> verify_cram_md5(std::string_view stored, Attempt const& attempt) {
    return equal_in_constant_time(kinds::cram_md5_state(attempt.password), stored);
}
Made generate_cram_md5(Attempt const& attempt, Options const&) {
    return kinds::cram_md5_state(attempt.password);
}

Result<bool> verify_digest_md5(std::string_view stored, Attempt const& attempt) {
    return equal_in_constant_time(kinds::digest_md5_key(attempt.user, attempt.password), stored);
}
Made generate_digest_md5(Attempt const& attempt, Options const&) {
    if (attempt.user.empty()) return permanent("DIGEST-MD5 needs the user name (-u)");
    return kinds::digest_md5_key(attempt.user, attempt.password);
}

inline constexpr char sha1_name[] = "SHA1";
inline constexpr char sha256_name[] = "SHA256";

template <char const* digest_name>
Result<bool> verify_scram(std::string_view stored, Attempt const& attempt) {
    auto const keys = kinds::read_scram_keys(stored);
    if (!keys) return permanent("SCRAM: not \"iterations,salt,stored key,server key\"");
    auto const made = kinds::make_scram_keys(digest_name, attempt.password, keys->salt, keys->iterations);
    return equal_in_constant_time(made.stored_key, keys->stored_key);
}
template <char const* digest_name>
Made generate_scram(Attempt const& attempt, Options const& options) {
    auto const rounds = options.rounds == 0 ? 4096 : options.rounds;
    return kinds::write_scram_keys(
        kinds::make_scram_keys(digest_name, attempt.password, random_octets(16), rounds));
}

} // namespace

std::vector<Scheme> const& schemes() {
    using enum TextForm;
    static std::vector<Scheme> const table{
        {"ARGON2I", as_is, 0, kinds::verify_argon2, kinds::generate_argon2i, true},
        {"ARGON2ID", as_is, 0, kinds::verify_argon2, kinds::generate_argon2id, true},
        {"BLF-CRYPT", as_is, 0, kinds::verify_crypt, generate_bcrypt, true},
        {"CLEAR", as_is, 0, verify_plain, generate_plain, false},
        {"CLEARTEXT", as_is, 0, verify_plain, generate_plain, false},
        {"CRAM-MD5", hex, 32, verify_cram_md5, generate_cram_md5, false},
        {"CRYPT", as_is, 0, kinds::verify_crypt, generate_bcrypt, true},
        {"DES-CRYPT", as_is, 0, kinds::verify_crypt, generate_des, true},
        {"DIGEST-MD5", hex, 16, verify_digest_md5, generate_digest_md5, false},
        {"HMAC-MD5", hex, 32, verify_cram_md5, generate_cram_md5, false},
        {"LDAP-MD5", base64, 16, verify_hash<kinds::md5>, generate_hash<kinds::md5>, false},
        {"MD5", as_is, 0, verify_md5, generate_md5_crypt, true},
        {"MD5-CRYPT", as_is, 0, kinds::verify_crypt, generate_md5_crypt, true},
        {"OTP", as_is, 0, kinds::verify_otp, kinds::generate_otp, true},
        {"PBKDF2", as_is, 0, kinds::verify_pbkdf2, kinds::generate_pbkdf2, true},
        {"PLAIN", as_is, 0, verify_plain, generate_plain, false},
        {"PLAIN-MD4", hex, 16, verify_hash<kinds::md4>, generate_hash<kinds::md4>, false},
        {"PLAIN-MD5", hex, 16, verify_hash<kinds::md5>, generate_hash<kinds::md5>, false},
        {"PLAIN-TRUNC", as_is, 0, verify_truncated, generate_plain, false},
        {"SCRAM-SHA-1", as_is, 0, verify_scram<sha1_name>, generate_scram<sha1_name>, true},
        {"SCRAM-SHA-256", as_is, 0, verify_scram<sha256_name>, generate_scram<sha256_name>, true},
        {"SHA", base64, 20, verify_hash<sha1>, generate_hash<sha1>, false},
        {"SHA1", base64, 20, verify_hash<sha1>, generate_hash<sha1>, false},
        {"SHA256", base64, 32, verify_hash<sha256>, generate_hash<sha256>, false},
        {"SHA256-CRYPT", as_is, 0, kinds::verify_crypt, generate_sha256_crypt, true},
        {"SHA512", base64, 64, verify_hash<sha512>, generate_hash<sha512>, false},
        {"SHA512-CRYPT", as_is, 0, kinds::verify_crypt, generate_sha512_crypt, true},
        {"SMD5", base64, 0, verify_salted<kinds::md5, 16>, generate_salted<kinds::md5, 16>, false},
        {"SSHA", base64, 0, verify_salted<sha1, 20>, generate_salted<sha1, 20>, false},
        {"SSHA256", base64, 0, verify_salted<sha256, 32>, generate_salted<sha256, 32>, false},
        {"SSHA512", base64, 0, verify_salted<sha512, 64>, generate_salted<sha512, 64>, false},
    };
    return table;
}

Scheme const* find_scheme(std::string_view name) {
    auto const& all = schemes();
    auto const known = std::ranges::lower_bound(all, name, {}, &Scheme::name); // most are written in capitals
    if (known != all.end() && known->name == name) return &*known;
    auto const at = std::ranges::find_if(
        all, [name](Scheme const& scheme) { return equals_ignoring_case(scheme.name, name); });
    return at == all.end() ? nullptr : &*at;
}

} // namespace postern::auth_socket
