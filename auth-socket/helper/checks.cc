// What the helper asks the system: PAM and the shadow file.
#include "auth-socket/helper/helper.h"

#include "auth-socket/schemes/kinds.h"

#include <shadow.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <string>

#ifdef POSTERN_PAM
#include <security/pam_appl.h>
#endif

namespace postern::auth_socket {

namespace {

#ifdef POSTERN_PAM

// Every question without echo is answered with the password, every other one with the user name.
int converse(int count, pam_message const** messages, pam_response** responses, void* data) {
    auto const& question = *static_cast<HelperQuestion const*>(data);
    if (count <= 0 || count > PAM_MAX_NUM_MSG) return PAM_CONV_ERR;
    auto* answers =
        static_cast<pam_response*>(std::calloc(static_cast<std::size_t>(count), sizeof(pam_response)));
    if (answers == nullptr) return PAM_BUF_ERR;
    for (int i = 0; i < count; ++i) { // PAM frees what we allocate here
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_OFF)
            answers[i].resp = ::strdup(question.password.c_str());
        if (messages[i]->msg_style == PAM_PROMPT_ECHO_ON) answers[i].resp = ::strdup(question.user.c_str());
    }
    *responses = answers;
    return PAM_SUCCESS;
}

HelperVerdict meaning(int code) {
    switch (code) {
    case PAM_SUCCESS: return HelperVerdict::yes;
    case PAM_AUTH_ERR:
    case PAM_MAXTRIES:
    case PAM_PERM_DENIED: return HelperVerdict::no;
    case PAM_USER_UNKNOWN: return HelperVerdict::unknown_user;
    case PAM_NEW_AUTHTOK_REQD: return HelperVerdict::expired;
    case PAM_ACCT_EXPIRED: return HelperVerdict::refused;
    default: return HelperVerdict::temporary;
    }
}

// The words that log parsers look for.
std::string words(pam_handle_t* handle, std::string_view call, int code) {
    auto text = std::string(call) + "() failed: " + pam_strerror(handle, code);
    if (code == PAM_AUTH_ERR) return text + " (Password mismatch?)";
    if (code == PAM_USER_UNKNOWN) return "unknown user: " + text;
    if (code == PAM_MAXTRIES) return "Password mismatch: " + text;
    return text;
}

// Without its file PAM judges by the service "other", which lets nobody in as a rule: no password is wrong
// for that.
bool has_file(std::string const& service) {
    return std::ranges::any_of(
        std::array{"/etc/pam.d/", "/usr/lib/pam.d/", "/usr/share/pam.d/"},
        [&](std::string const& directory) { return ::access((directory + service).c_str(), F_OK) == 0; });
}

HelperAnswer ask_pam(HelperQuestion const& question) {
    pam_conv const conversation{converse, const_cast<HelperQuestion*>(&question)};
    pam_handle_t* raw = nullptr;
    auto code = pam_start(question.service.c_str(), question.user.c_str(), &conversation, &raw);
    if (code != PAM_SUCCESS) return {HelperVerdict::temporary, "pam_start() failed"};
    auto const end = [&code](pam_handle_t* handle) { pam_end(handle, code); };
    std::unique_ptr<pam_handle_t, decltype(end)> const handle(raw, end);
    if (!question.remote_ip.empty()) pam_set_item(raw, PAM_RHOST, question.remote_ip.c_str());
    pam_set_item(raw, PAM_TTY, "dovecot"); // some modules want one
    code = pam_authenticate(raw, 0);
    if (code != PAM_SUCCESS && !has_file(question.service))
        return {HelperVerdict::temporary,
                "/etc/pam.d/" + question.service +
                    " is missing: pam_authenticate() failed: " + pam_strerror(raw, code)};
    if (code != PAM_SUCCESS) return {meaning(code), words(raw, "pam_authenticate", code)};
    code = pam_acct_mgmt(raw, 0);
    if (code == PAM_SUCCESS) return {HelperVerdict::yes, ""};
    auto const verdict = meaning(code);
    return {verdict == HelperVerdict::no ? HelperVerdict::refused : verdict,
            words(raw, "pam_acct_mgmt", code)};
}

#else

HelperAnswer ask_pam(HelperQuestion const&) { return {HelperVerdict::temporary, "built without PAM"}; }

#endif

// shadow(5): days since 1970; absent fields are -1.
bool is_expired(spwd const& entry) {
    auto const today = std::time(nullptr) / 86400;
    return entry.sp_expire >= 0 && today >= entry.sp_expire;
}

HelperAnswer ask_shadow(HelperQuestion const& question) {
    std::array<char, 16384> buffer{};
    spwd entry{};
    spwd* found = nullptr;
    auto const error = getspnam_r(question.user.c_str(), &entry, buffer.data(), buffer.size(), &found);
    if (found == nullptr && error != 0 && error != ENOENT)
        return {HelperVerdict::temporary, "the shadow file cannot be read"};
    if (found == nullptr) return {HelperVerdict::unknown_user, "unknown user"};
    std::string_view const stored = entry.sp_pwdp == nullptr ? "" : entry.sp_pwdp;
    if (stored.empty() || stored.starts_with("!") || stored.starts_with("*"))
        return {HelperVerdict::no, "Password mismatch: the account has no password"};
    auto const same = kinds::verify_crypt(stored, {question.password.reveal(), question.user});
    explicit_bzero(buffer.data(), buffer.size());
    if (!same) return {HelperVerdict::temporary, same.error().text};
    if (!*same) return {HelperVerdict::no, "Password mismatch"};
    return is_expired(entry) ? HelperAnswer{HelperVerdict::refused, "the account has expired"}
                             : HelperAnswer{HelperVerdict::yes, ""};
}

} // namespace

HelperAnswer answer_question(HelperQuestion const& question) {
    return question.kind == HelperKind::pam ? ask_pam(question) : ask_shadow(question);
}

} // namespace postern::auth_socket
