// DOVECOT-TOKEN: a process of Dovecot's shows the token that the master socket gave out with its user's
// login.
#include "auth-socket/mechanisms/mechanism.h"
#include "auth-socket/tokens.h"

#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

class DovecotToken final : public Mechanism {
  public:
    explicit DovecotToken(MechanismContext const& context) : tokens_(context.tokens) {}

    // service NUL session's pid NUL user NUL session NUL token
    Step receive(std::string_view response) override {
        auto const parts = split(response, '\0');
        if (parts.size() != 5 || parts[2].empty()) return Refused{"invalid input"};
        TokenClaim const claim{parts[0], parts[1], parts[2], parts[3]};
        if (tokens_ == nullptr || !tokens_->fits(claim, parts[4])) return Refused{"Password mismatch", true};
        return Trusted{std::string(claim.user), "", Trusted::Ground::token};
    }

  private:
    Tokens const* tokens_;
};

} // namespace

MechanismKind const& token_mechanism() {
    static MechanismKind const kind{"DOVECOT-TOKEN", "", false,
                                    [](MechanismContext const& context) -> std::unique_ptr<Mechanism> {
                                        return std::make_unique<DovecotToken>(context);
                                    }};
    return kind;
}

} // namespace postern::auth_socket
