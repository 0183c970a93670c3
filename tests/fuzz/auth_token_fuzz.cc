// Bearer messages, JSON web tokens and their claims: nothing unsigned verifies, and a name leads to one file.
#include "auth-socket/mechanisms/mechanism.h"
#include "auth-socket/oauth2/key_store.h"
#include "tests/fuzz/fuzz.h"

using namespace postern;
using namespace postern::auth_socket;

namespace {

void try_mechanism(std::string_view name, std::string_view text) {
    auto const mechanism = find_mechanism(name)->make({});
    auto const step = mechanism->receive(text);
    FUZZ_REQUIRE(std::holds_alternative<CheckPassword>(step) || std::holds_alternative<Challenge>(step));
    if (auto const* check = std::get_if<CheckPassword>(&step)) FUZZ_REQUIRE(!check->password.empty());
    if (std::holds_alternative<Challenge>(step))
        FUZZ_REQUIRE(std::holds_alternative<Refused>(mechanism->receive(text)));
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    try_mechanism("OAUTHBEARER", text);
    try_mechanism("XOAUTH2", text);
    if (auto const name = key_file_name(text))
        FUZZ_REQUIRE(!name->contains('/') && !name->starts_with(".") && !name->contains('\0'));
    auto const jwt = read_jwt(text);
    if (!jwt || !*jwt) return 0;
    auto const problem = problem_of_claims((*jwt)->claims, {{"iss"}, "aud", {"mail"}}, 1'700'000'000);
    FUZZ_REQUIRE(!is_expired((*jwt)->claims, 0) || problem);
    (void)flat_claims((*jwt)->claims);
    // A key that nobody has signed anything with.
    static auto const key = VerificationKey::of_secret("nobody knows this secret").value();
    if (auto const* algorithm = find_signature_algorithm((*jwt)->algorithm))
        FUZZ_REQUIRE(!key.verifies(*algorithm, (*jwt)->signed_text, (*jwt)->signature));
    return 0;
}
