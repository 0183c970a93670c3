// PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login): the password itself goes over the wire.
#include "auth-socket/mechanisms/mechanism.h"

#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

class Plain final : public Mechanism {
  public:
    // authzid NUL authcid NUL password
    Step receive(std::string_view response) override {
        auto const [authorization, rest] = halve(response, '\0');
        if (!rest) return Refused{"invalid input"};
        auto const [user, password] = halve(*rest, '\0');
        if (!password || password->contains('\0')) return Refused{"invalid input"};
        return CheckPassword{std::string(user), std::string(authorization == user ? "" : authorization),
                             Secret(*password)};
    }
};

class Login final : public Mechanism {
  public:
    Step start(std::optional<std::string_view> initial) override {
        if (initial && !initial->empty()) return receive(*initial);
        return Challenge{"Username:"};
    }

    Step receive(std::string_view response) override {
        if (response.contains('\0')) return Refused{"invalid input"};
        if (!user_) {
            // Exim and others send an empty user name on; it is refused when the whole is known.
            user_ = response;
            return Challenge{"Password:"};
        }
        return CheckPassword{*user_, "", Secret(response)};
    }

  private:
    std::optional<std::string> user_;
};

} // namespace

std::unique_ptr<Mechanism> make_plain(MechanismContext const&) { return std::make_unique<Plain>(); }
std::unique_ptr<Mechanism> make_login(MechanismContext const&) { return std::make_unique<Login>(); }

} // namespace postern::auth_socket
