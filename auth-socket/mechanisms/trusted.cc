// EXTERNAL (RFC 4422 appendix A): the certificate names the user. ANONYMOUS (RFC 4505): nobody does.
#include "auth-socket/mechanisms/mechanism.h"

#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

class External final : public Mechanism {
  public:
    explicit External(MechanismContext const& context)
        : user_(context.valid_certificate ? context.certificate_user : "") {}

    // The response is whom the user wants to be; empty: itself.
    Step receive(std::string_view response) override {
        if (user_.empty()) return Refused{"the client showed no valid certificate with a user name"};
        if (response.contains('\0')) return Refused{"invalid input"};
        return Trusted{user_, std::string(response == user_ ? "" : response)};
    }

  private:
    std::string user_;
};

class Anonymous final : public Mechanism {
  public:
    explicit Anonymous(MechanismContext const& context) : user_(context.anonymous_user) {}

    // The response only says who the client would like to be remembered as.
    Step receive(std::string_view) override {
        if (user_.empty()) return Refused{"auth_anonymous_username is empty"};
        return Trusted{user_, "", Trusted::Ground::anonymous};
    }

  private:
    std::string user_;
};

} // namespace

std::unique_ptr<Mechanism> make_external(MechanismContext const& context) {
    return std::make_unique<External>(context);
}
std::unique_ptr<Mechanism> make_anonymous(MechanismContext const& context) {
    return std::make_unique<Anonymous>(context);
}

} // namespace postern::auth_socket
