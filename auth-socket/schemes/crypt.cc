// The crypt(3) family: DES, MD5, SHA-2, bcrypt, and whatever else the system's libcrypt knows.
#include "auth-socket/schemes/kinds.h"

#include <crypt.h>

#include <cstring>
#include <memory>

namespace postern::auth_socket::kinds {

namespace {

struct WipeCrypt {
    void operator()(crypt_data* data) const {
        explicit_bzero(data, sizeof *data);
        delete data;
    }
};

// Empty when libcrypt refuses the setting.
std::string crypt_text(std::string const& password, std::string const& setting) {
    std::unique_ptr<crypt_data, WipeCrypt> const data(new crypt_data{}); // 32 kB, too much for a stack
    auto const* text = crypt_rn(password.c_str(), setting.c_str(), data.get(), sizeof(crypt_data));
    return text == nullptr || text[0] == '*' ? std::string() : std::string(text);
}

} // namespace

Result<bool> verify_crypt(std::string_view stored, PasswordAttempt const& attempt) {
    if (stored.empty()) return false; // an empty hash never matches
    std::string password(attempt.password);
    auto const made = crypt_text(password, std::string(stored));
    wipe(password);
    if (made.empty()) return permanent("the stored password is not one that crypt(3) knows");
    return equal_in_constant_time(made, stored);
}

Result<std::string> generate_crypt(std::string_view prefix, unsigned rounds, std::string_view password) {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    std::string const start(prefix);
    // Traditional DES has no prefix of its own; an empty one is what crypt_gensalt takes for it.
    if (crypt_gensalt_rn(start.c_str(), rounds, nullptr, 0, setting, sizeof setting) == nullptr)
        return permanent("crypt(3) does not take " + std::to_string(rounds) + " rounds for \"" + start +
                         "\"");
    auto made = crypt_text(std::string(password), setting);
    if (made.empty()) return permanent("crypt(3) refuses to hash this password");
    return made;
}

} // namespace postern::auth_socket::kinds
