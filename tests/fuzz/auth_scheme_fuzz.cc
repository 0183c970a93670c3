// Stored passwords: what reads is of a known scheme and size, verifying never crashes, and tab-escaping is
// reversible.
#include "auth-socket/protocol.h"
#include "auth-socket/schemes/scheme.h"
#include "tests/fuzz/fuzz.h"

#include <string>

using namespace postern;
using namespace postern::auth_socket;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    FUZZ_REQUIRE(tab_unescape(tab_escape(text)) == text);
    FUZZ_REQUIRE(tab_escape(text).find_first_of("\t\r\n") == std::string::npos);
    for (auto const* default_scheme : {"PLAIN", "MD5", "SHA512.hex"}) {
        auto const credential = read_stored_password(text, default_scheme);
        if (!credential) continue;
        auto const* scheme = find_scheme(credential->scheme);
        FUZZ_REQUIRE(scheme != nullptr);
        FUZZ_REQUIRE(scheme->size == 0 || credential->value.reveal().size() == scheme->size);
        // crypt(3), Argon2 and key derivation take as long as the stored value says.
        auto const slow = scheme->name.contains("CRYPT") || scheme->name.starts_with("ARGON") ||
                          scheme->name.starts_with("SCRAM") || scheme->name == "PBKDF2" ||
                          scheme->name == "MD5" || scheme->name == "OTP";
        if (slow) continue;
        auto const same = verify_password(*credential, {"pass", "user@domain"});
        FUZZ_REQUIRE(same || !same.error().text.empty());
    }
    return 0;
}
