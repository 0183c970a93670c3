// SCRAM-SHA-1 and SCRAM-SHA-256 (RFC 5802, RFC 7677), without channel binding.
#include "auth-socket/mechanisms/mechanism.h"

#include "auth-socket/mechanisms/gs2.h"
#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::auth_socket {

namespace {

constexpr unsigned iterations_of_plain = 4096; // when the password is stored in plain text
constexpr std::size_t salt_size = 16;
constexpr std::size_t nonce_size = 64; // printable characters of ours behind the client's
constexpr std::size_t max_client_nonce = 512;

// "x=value" of that letter.
std::optional<std::string_view> attribute(std::string_view piece, char letter) {
    if (piece.size() < 2 || piece[0] != letter || piece[1] != '=') return std::nullopt;
    return piece.substr(2);
}

std::string random_nonce() {
    auto text = random_octets(nonce_size);
    // '!' to '~' without the comma (RFC 5802 7, "printable"); the small bias does no harm over 64 characters.
    for (auto& c : text) {
        c = static_cast<char>('!' + static_cast<unsigned char>(c) % 93);
        if (c >= ',') ++c;
    }
    return text;
}

class Scram final : public Mechanism {
  public:
    Scram(char const* digest_name, std::string scheme, MechanismContext const& context)
        : digest_name_(digest_name), scheme_(std::move(scheme)),
          nonce_(context.fixed_nonce.empty() ? random_nonce() : context.fixed_nonce) {}

    Step receive(std::string_view response) override {
        return server_first_.empty() ? first(response) : last(response);
    }

    Step secret(Credential const& credential, Request const&) override {
        if (credential.scheme == scheme_) {
            auto keys = kinds::read_scram_keys(credential.value.reveal());
            if (!keys) return Refused{"the stored password is not " + scheme_};
            keys_ = std::move(*keys);
        } else {
            keys_ = kinds::make_scram_keys(digest_name_, credential.value.reveal(), random_octets(salt_size),
                                           iterations_of_plain);
        }
        server_first_ = fmt::format("r={},s={},i={}", nonce_, base64_encode(keys_.salt), keys_.iterations);
        return Challenge{server_first_};
    }

  private:
    // gs2-header client-first-message-bare: "n,[a=authzid],n=user,r=nonce[,extensions]"
    Step first(std::string_view message) {
        auto const [binding, rest] = halve(message, ',');
        if (!rest || (binding != "n" && binding != "y")) return Refused{"channel binding is not supported"};
        auto const [authorization_part, bare] = halve(*rest, ',');
        if (!bare) return Refused{"invalid input"};
        std::optional<std::string> authorization("");
        if (!authorization_part.empty()) {
            auto const value = attribute(authorization_part, 'a');
            authorization = value ? gs2_name(*value) : std::nullopt;
        }
        auto const pieces = split(*bare, ',');
        auto const name = attribute(pieces[0], 'n');
        auto const user = name ? gs2_name(*name) : std::nullopt;
        auto const client_nonce = pieces.size() > 1 ? attribute(pieces[1], 'r') : std::nullopt;
        if (!authorization || !user || !client_nonce || client_nonce->empty() ||
            client_nonce->size() > max_client_nonce)
            return Refused{"invalid input"};
        gs2_header_ = message.substr(0, message.size() - bare->size());
        client_first_bare_ = *bare;
        nonce_.insert(0, *client_nonce);
        if (*authorization == *user) authorization->clear();
        return NeedSecret{*user, *authorization, {scheme_}};
    }

    // "c=base64,r=nonce[,extensions],p=proof"
    Step last(std::string_view message) {
        auto const proof_at = message.rfind(",p=");
        auto const pieces = split(message.substr(0, proof_at), ',');
        auto const binding = attribute(pieces[0], 'c');
        auto const nonce = pieces.size() > 1 ? attribute(pieces[1], 'r') : std::nullopt;
        if (proof_at == std::string_view::npos || !binding || !nonce) return Refused{"invalid input"};
        if (base64_decode(*binding) != gs2_header_) return Refused{"the channel binding changed"};
        if (*nonce != nonce_) return Refused{"wrong nonce"};
        auto const proof = base64_decode(message.substr(proof_at + 3));
        if (!proof || proof->size() != keys_.stored_key.size()) return Refused{"invalid input"};
        auto const said =
            fmt::format("{},{},{}", client_first_bare_, server_first_, message.substr(0, proof_at));
        // ClientKey = ClientProof XOR ClientSignature; its digest must be the StoredKey.
        auto client_key = kinds::hmac(digest_name_, keys_.stored_key, said);
        for (std::size_t i = 0; i < client_key.size(); ++i)
            client_key[i] = static_cast<char>(client_key[i] ^ (*proof)[i]);
        bool const good = equal_in_constant_time(kinds::digest(digest_name_, client_key), keys_.stored_key);
        wipe(client_key);
        if (!good) return Refused{"Password mismatch", true};
        return Proven{fmt::format("v={}", base64_encode(kinds::hmac(digest_name_, keys_.server_key, said)))};
    }

    char const* digest_name_;
    std::string scheme_;
    std::string nonce_; // the client's and ours, once the client's is known
    std::string gs2_header_;
    std::string client_first_bare_;
    std::string server_first_;
    kinds::ScramKeys keys_;
};

} // namespace

std::unique_ptr<Mechanism> make_scram_sha_1(MechanismContext const& context) {
    return std::make_unique<Scram>("SHA1", "SCRAM-SHA-1", context);
}

std::unique_ptr<Mechanism> make_scram_sha_256(MechanismContext const& context) {
    return std::make_unique<Scram>("SHA256", "SCRAM-SHA-256", context);
}

} // namespace postern::auth_socket
