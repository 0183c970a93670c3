// passdb pam and passdb shadow: the system says yes or no, through the helper process.
#pragma once

#include "auth-socket/helper/helper.h"
#include "auth-socket/users/database.h"

#include <memory>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// How long PAM may take: pam_unix itself waits two seconds after a wrong password.
inline constexpr std::chrono::seconds helper_time{7};

class SystemPasswords final : public Passdb {
  public:
    // args of passdb pam: "session=yes failure_show_msg=yes %s": the last word that is not an option is the
    // service, "dovecot" unless it is given; "*" is the client's protocol.
    static Result<std::shared_ptr<SystemPasswords const>>
    make_for_service(HelperKind kind, std::string service, Helper const& helper);
    static Result<std::shared_ptr<SystemPasswords const>> make(HelperKind kind, std::string_view arguments,
                                                               Helper const& helper);
    Result<std::vector<Fields>> lookup(Request const& request) const override;
    std::optional<Result<Checked>> check(Request const& request, Secret const& password) const override;
    bool knows_users() const override { return false; }

  private:
    SystemPasswords(HelperKind kind, std::string service, Helper const& helper)
        : kind_(kind), service_(std::move(service)), helper_(helper) {}

    HelperKind const kind_;
    std::string const service_; // a template
    Helper const& helper_;
};

} // namespace postern::auth_socket
