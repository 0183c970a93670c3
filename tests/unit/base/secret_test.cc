// Secrets: gone when moved or wiped, compared whole.
#include "common/base/secret.h"

#include "tests/unit/support/catch.h"

using namespace postern;

TEST_CASE("a secret made from a string leaves that string empty") {
    std::string source = "correct horse";
    Secret const secret(std::move(source));
    CHECK(secret.reveal() == "correct horse");
    CHECK(source.empty()); // NOLINT(bugprone-use-after-move): the point of the test
}

TEST_CASE("wiping overwrites the octets, not only the length") {
    std::string text = "password-that-is-longer-than-the-small-buffer";
    auto const* octets = text.data();
    auto const length = text.size();
    wipe(text);
    CHECK(text.empty());
    CHECK(std::string(octets, length) == std::string(length, '\0'));
}

TEST_CASE("constant-time comparison tells equal from different and different lengths") {
    CHECK(equal_in_constant_time("abc", "abc"));
    CHECK_FALSE(equal_in_constant_time("abc", "abd"));
    CHECK_FALSE(equal_in_constant_time("abc", "ab"));
    CHECK(equal_in_constant_time("", ""));
}
