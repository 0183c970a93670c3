// OK and FAIL lines.
#include "auth-socket/replies.h"

#include "auth-socket/protocol.h"
#include "common/base/encoding.h"

namespace postern::auth_socket {

namespace {

std::string_view failure_code(Verdict verdict) {
    switch (verdict) {
    case Verdict::temporary: return "temp_fail";
    case Verdict::not_authorized: return "authz_fail";
    case Verdict::user_disabled: return "user_disabled";
    case Verdict::password_expired: return "pass_expired";
    case Verdict::ok:
    case Verdict::password_mismatch:
    case Verdict::unknown_user:
    case Verdict::wrong_network:
    case Verdict::refused: break;
    }
    return "";
}

void add_names(Line& line, Request const& request, bool always_original) {
    if (always_original || (!request.original_user.empty() && request.original_user != request.user))
        line.add("original_user", request.original_user);
    if (!request.authenticated_user.empty()) line.add("auth_user", request.authenticated_user);
}

} // namespace

std::string ok_line(std::uint32_t id, Request const& request, Outcome const& outcome,
                    std::string_view final_data) {
    Line line("OK", id);
    line.add("user", outcome.user).add(outcome.reply);
    add_names(line, request, false);
    if (!final_data.empty()) line.add("resp", base64_encode(final_data));
    return line.text();
}

std::string fail_line(std::uint32_t id, Request const& request, Outcome const& outcome) {
    Line line("FAIL", id);
    auto const names_user = !request.mechanism.empty() && (!request.user.empty() || request.name_refused);
    if (names_user) line.add("user", request.user);
    if (outcome.without_delay) line.add("nodelay");
    if (auto const code = failure_code(outcome.verdict); !code.empty()) line.add("code", code);
    line.add(outcome.reply);
    if (names_user) add_names(line, request, request.name_refused);
    return line.text();
}

std::string protocol_fail_line(std::uint32_t id, std::string_view reason) {
    return Line("FAIL", id).add("reason", reason).text();
}

std::string bad_base64_line(std::uint32_t id, std::string_view which) {
    return Line("FAIL", id)
        .add("code", "invalid_base64")
        .add("reason", "Invalid base64 data in " + std::string(which) + " response")
        .text();
}

} // namespace postern::auth_socket
