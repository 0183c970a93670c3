// passdb pam and passdb shadow.
#include "auth-socket/users/system.h"

#include "auth-socket/users/variables.h"
#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

Verdict verdict_of(HelperVerdict said) {
    switch (said) {
    case HelperVerdict::yes: return Verdict::ok;
    case HelperVerdict::no: return Verdict::password_mismatch;
    case HelperVerdict::unknown_user: return Verdict::unknown_user;
    case HelperVerdict::expired: return Verdict::password_expired;
    case HelperVerdict::refused: return Verdict::user_disabled;
    case HelperVerdict::temporary: break;
    }
    return Verdict::temporary;
}

} // namespace

Result<std::shared_ptr<SystemPasswords const>>
SystemPasswords::make(HelperKind kind, std::string_view arguments, Helper const& helper) {
    std::string service = "dovecot";
    for (auto const word : split_words(arguments)) {
        if (word.contains('=')) continue; // session=, setcred=, cache_key=, max_requests=, failure_show_msg=
        service = word == "*" ? "%s" : word;
    }
    return make_for_service(kind, std::move(service), helper);
}

Result<std::shared_ptr<SystemPasswords const>>
SystemPasswords::make_for_service(HelperKind kind, std::string service, Helper const& helper) {
    if (auto const tried = check_template(service); !tried) return std::unexpected(tried.error());
    return std::shared_ptr<SystemPasswords const>(new SystemPasswords(kind, service, helper));
}

// The system does not give passwords away: only plaintext mechanisms can ask it.
Result<std::vector<Fields>> SystemPasswords::lookup(Request const&) const { return std::vector<Fields>{}; }

std::optional<Result<Checked>> SystemPasswords::check(Request const& request, Secret const& password) const {
    if (password.empty()) return Checked{Verdict::password_mismatch, "Password mismatch: it is empty", {}};
    if (password.reveal().contains('\0')) // PAM and crypt(3) would see what stands before it
        return Checked{Verdict::password_mismatch, "Password mismatch: it has a NUL in it", {}};
    auto service = expand(service_, request);
    if (!service) return std::unexpected(std::move(service.error()));
    // The service names a file below /etc/pam.d; a client chooses it where it is "*".
    if (service->empty() || service->contains('/') || service->starts_with("."))
        return temporary("not a PAM service: \"" + printable(*service) + "\"");
    auto const answer = helper_.ask({kind_, *service, request.user, request.client.remote_ip, password},
                                    Deadline::after(helper_time));
    if (!answer) return std::unexpected(answer.error());
    return Checked{verdict_of(answer->verdict), answer->text, {}};
}

} // namespace postern::auth_socket
