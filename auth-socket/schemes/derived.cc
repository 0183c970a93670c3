// Argon2, PBKDF2 and one-time passwords.
#include "auth-socket/schemes/kinds.h"

#include "common/base/encoding.h"
#include "common/base/text.h"

#include <argon2.h>

#include <algorithm>
#include <array>

namespace postern::auth_socket::kinds {

namespace {

inline constexpr unsigned pbkdf2_rounds = 5000;
inline constexpr unsigned pbkdf2_most_rounds = 10'000'000;
inline constexpr std::size_t pbkdf2_size = 20; // SHA-1
inline constexpr unsigned otp_start = 1024;
inline constexpr unsigned otp_most = 9999;

std::string random_text(std::size_t size) {
    static constexpr std::string_view letters =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789./";
    auto text = random_octets(size);
    for (auto& c : text) c = letters[static_cast<unsigned char>(c) % letters.size()];
    return text;
}

Result<std::string> generate_argon2(argon2_type type, unsigned passes, unsigned memory_kib,
                                    std::string_view password) {
    auto const salt = random_octets(16);
    std::array<char, 256> encoded{};
    auto const error =
        argon2_hash(passes, memory_kib, 1, password.data(), password.size(), salt.data(), salt.size(),
                    nullptr, 32, encoded.data(), encoded.size(), type, ARGON2_VERSION_13);
    if (error != ARGON2_OK) return permanent(std::string("Argon2: ") + argon2_error_message(error));
    return std::string(encoded.data());
}

// RFC 2289 section 6.0: the digest folded to 64 bits.
std::string fold(std::string_view name, std::string_view text) {
    if (name == "sha1") {
        auto const full = digest("SHA1", text);
        std::array<unsigned, 5> words{};
        for (std::size_t i = 0; i < 20; ++i)
            words[i / 4] = words[i / 4] << 8 | static_cast<unsigned char>(full[i]);
        unsigned const first = words[0] ^ words[2] ^ words[4], second = words[1] ^ words[3];
        std::string folded;
        for (auto const word : {first, second}) // little-endian, appendix A
            for (int shift = 0; shift < 32; shift += 8) folded += static_cast<char>(word >> shift);
        return folded;
    }
    auto const full = name == "md5" ? md5(text) : md4(text);
    std::string folded = full.substr(0, 8);
    for (std::size_t i = 0; i < 8; ++i) folded[i] = static_cast<char>(folded[i] ^ full[i + 8]);
    return folded;
}

std::string otp_response(std::string_view name, std::string_view seed, std::string_view password,
                         unsigned steps) {
    std::string text; // with room for all of it at once: a growing string would leave the password behind
    text.reserve(seed.size() + password.size());
    auto value = fold(name, text.append(to_lower(seed)).append(password));
    wipe(text);
    for (unsigned i = 0; i < steps; ++i) value = fold(name, value);
    return value;
}

} // namespace

Result<bool> verify_argon2(std::string_view stored, PasswordAttempt const& attempt) {
    std::string const encoded(stored);
    auto const type = encoded.starts_with("$argon2id$")  ? Argon2_id
                      : encoded.starts_with("$argon2i$") ? Argon2_i
                                                         : Argon2_d;
    auto const error = argon2_verify(encoded.c_str(), attempt.password.data(), attempt.password.size(), type);
    if (error == ARGON2_VERIFY_MISMATCH) return false;
    if (error != ARGON2_OK) return permanent(std::string("Argon2: ") + argon2_error_message(error));
    return true;
}

Result<std::string> generate_argon2i(PasswordAttempt const& attempt, GenerateOptions const& options) {
    return generate_argon2(Argon2_i, std::max(options.rounds, options.rounds == 0 ? 4U : 3U), 32768,
                           attempt.password);
}

Result<std::string> generate_argon2id(PasswordAttempt const& attempt, GenerateOptions const& options) {
    return generate_argon2(Argon2_id, options.rounds == 0 ? 3U : options.rounds, 65536, attempt.password);
}

Result<bool> verify_pbkdf2(std::string_view stored, PasswordAttempt const& attempt) {
    auto const pieces = split(stored, '$'); // "", "1", salt, rounds, hex
    if (pieces.size() != 5 || !pieces[0].empty() || pieces[1] != "1")
        return permanent("PBKDF2: not $1$salt$rounds$hex");
    auto const rounds = parse_number<unsigned>(pieces[3]);
    auto const wanted = hex_decode(pieces[4]);
    if (!rounds || *rounds == 0 || *rounds > pbkdf2_most_rounds || !wanted || wanted->size() != pbkdf2_size)
        return permanent("PBKDF2: bad rounds or digest");
    return equal_in_constant_time(pbkdf2("SHA1", attempt.password, pieces[2], *rounds, pbkdf2_size), *wanted);
}

Result<std::string> generate_pbkdf2(PasswordAttempt const& attempt, GenerateOptions const& options) {
    auto const rounds = options.rounds == 0 ? pbkdf2_rounds : options.rounds;
    auto const salt = random_text(16);
    return "$1$" + salt + "$" + std::to_string(rounds) + "$" +
           hex_encode(pbkdf2("SHA1", attempt.password, salt, rounds, pbkdf2_size));
}

Result<bool> verify_otp(std::string_view stored, PasswordAttempt const& attempt) {
    auto const pieces = split_words(stored, " ");
    if (pieces.size() != 4) return permanent("OTP: not \"digest count seed value\"");
    auto const name = to_lower(pieces[0]);
    auto const count = parse_number<unsigned>(pieces[1]);
    auto const wanted = hex_decode(pieces[3]);
    if ((name != "sha1" && name != "md5" && name != "md4") || !count || *count > otp_most || !wanted)
        return permanent("OTP: bad digest, count or value");
    return equal_in_constant_time(otp_response(name, pieces[2], attempt.password, *count), *wanted);
}

Result<std::string> generate_otp(PasswordAttempt const& attempt, GenerateOptions const&) {
    auto const seed = hex_encode(random_octets(8));
    return "sha1 " + std::to_string(otp_start) + " " + seed + " " +
           hex_encode(otp_response("sha1", seed, attempt.password, otp_start));
}

} // namespace postern::auth_socket::kinds
