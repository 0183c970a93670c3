// Templates with % variables: what the scanner takes has a value, and a text without % is itself.
#include "auth-socket/users/passdb_fields.h"
#include "auth-socket/users/username.h"
#include "auth-socket/users/variables.h"
#include "tests/fuzz/fuzz.h"

#include <string>

using namespace postern;
using namespace postern::auth_socket;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    Request request;
    request.user = request.original_user = "Alice@Example.com";
    request.client.remote_ip = "192.0.2.1";
    if (auto const variable = scan_variable(text)) {
        FUZZ_REQUIRE(variable->length <= text.size() && variable->length > 0);
        FUZZ_REQUIRE(text.substr(0, variable->length) == variable->name);
    }
    auto const expanded = expand(text, request);
    if (!text.contains('%')) FUZZ_REQUIRE(expanded && *expanded == text);
    (void)is_in_networks("192.0.2.1", text);
    UsernameRules const rules;
    if (auto const user = normalised_user(text, rules, request)) {
        FUZZ_REQUIRE(!user->empty());
        FUZZ_REQUIRE(user->find_first_not_of(rules.chars) == std::string::npos);
        FUZZ_REQUIRE(normalised_user(*user, rules, request).value() == *user);
    }
    return 0;
}
