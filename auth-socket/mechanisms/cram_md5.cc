// CRAM-MD5 (RFC 2195): the client shows that it knows the password by an HMAC over our challenge.
#include "auth-socket/mechanisms/mechanism.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::auth_socket {

namespace {

constexpr std::size_t digest_size = 16;

class CramMd5 final : public Mechanism {
  public:
    explicit CramMd5(MechanismContext const& context)
        : challenge_(fmt::format("<{}.{}@{}>", random_number(context), unix_time(), context.host_name)) {}

    // RFC 2195 has no initial response; one is not looked at.
    Step start(std::optional<std::string_view>) override { return Challenge{challenge_}; }

    // user SP 32 hex digits; the user name may hold spaces.
    Step receive(std::string_view response) override {
        auto const [user, proof] = halve_at_last(response, ' ');
        auto decoded = proof ? hex_decode(*proof) : std::nullopt;
        if (!decoded || decoded->size() != digest_size || user.contains('\0'))
            return Refused{"invalid input"};
        proof_ = std::move(*decoded);
        return NeedSecret{std::string(user), "", {"CRAM-MD5", "HMAC-MD5"}};
    }

    Step secret(Credential const& credential, Request const&) override {
        bool const is_state = credential.scheme == "CRAM-MD5" || credential.scheme == "HMAC-MD5";
        Secret const state(is_state ? std::string(credential.value.reveal())
                                    : kinds::cram_md5_state(credential.value.reveal()));
        if (!equal_in_constant_time(kinds::cram_md5_response(state.reveal(), challenge_), proof_))
            return Refused{"Password mismatch", true};
        return Proven{};
    }

  private:
    static std::string random_number(MechanismContext const& context) {
        if (!context.fixed_nonce.empty()) return context.fixed_nonce;
        std::uint64_t number = 0;
        for (char const c : random_octets(sizeof number))
            number = number << 8 | static_cast<unsigned char>(c);
        return std::to_string(number);
    }

    std::string challenge_;
    std::string proof_;
};

} // namespace

std::unique_ptr<Mechanism> make_cram_md5(MechanismContext const& context) {
    return std::make_unique<CramMd5>(context);
}

} // namespace postern::auth_socket
