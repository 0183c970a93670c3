// What is told to the policy server, and what its answer says.
#pragma once

#include "auth-socket/policy/settings.h"
#include "auth-socket/request.h"
#include "common/http/http.h"

#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// H(nonce, user, NUL, password), its first bits as a number, in hexadecimal.
std::string hashed_password(PolicySettings const& settings, std::string_view user, std::string_view password);

// How the login ended, for a report.
struct PolicyReport {
    bool success = false;
    bool rejected_by_policy = false;
    std::string_view fail_type; // of 2.4: credentials, account, expired, disabled, policy
};

// The JSON object. Permanent error: a template that cannot be expanded.
Result<std::string> policy_question(PolicySettings const& settings, Request const& request,
                                    std::string_view password, PolicyReport const* report);

struct PolicyAdvice {
    std::int64_t status = 0; // below 0: refuse; above 0: wait so many seconds
    std::string message;
    bool is_missing = false; // it could not be asked, and unasked nobody gets in
};
// Temporary error: it says nothing.
Result<PolicyAdvice> understand_advice(http::Answer const& answer);

} // namespace postern::auth_socket
