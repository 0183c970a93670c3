// Key records of anybody's DNS, as the daemon reads them: what is taken as a key verifies no signature that
// was not made with it, and says the same when it is read again.
#include "milter-dkim/verify/public_key.h"
#include "tests/fuzz/fuzz.h"

using namespace postern::milter_dkim;

int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const record = std::string(as_text(data, size));
    PublicKeys const keys;
    for (auto const algorithm : {Algorithm::rsa_sha256, Algorithm::ed25519_sha256}) {
        auto const key = PublicKey::parse(record, algorithm);
        auto const kept = keys.get(record, algorithm);
        FUZZ_REQUIRE(key.has_value() == kept.has_value());
        if (!key) {
            FUZZ_REQUIRE(key.error().text == kept.error().text && key.error().text.size() < 100);
            continue;
        }
        FUZZ_REQUIRE(has_key(record));
        FUZZ_REQUIRE((key->bits() == 0) == (algorithm == Algorithm::ed25519_sha256));
        FUZZ_REQUIRE(keys.get(record, algorithm)->get() == kept->get());
        FUZZ_REQUIRE(key->verifies("text", std::string(64, 's')) == false);
    }
    return 0;
}
