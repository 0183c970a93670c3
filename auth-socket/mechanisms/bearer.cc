// OAUTHBEARER (RFC 7628) and XOAUTH2 (Google's form before it): an access token instead of a password.
#include "auth-socket/mechanisms/mechanism.h"

#include "auth-socket/mechanisms/gs2.h"
#include "common/base/text.h"
#include "common/json/json.h"

namespace postern::auth_socket {

namespace {

constexpr char separator = '\x01';

struct Message {
    std::string user;
    std::string_view authorization; // the value of auth=
};

// The token of "Bearer TOKEN"; the scheme's case does not count (RFC 7235 2.1).
std::optional<std::string_view> bearer_token(std::string_view authorization) {
    auto const [scheme, token] = halve(authorization, ' ');
    if (!token || !equals_ignoring_case(scheme, "bearer")) return std::nullopt;
    return trim(*token);
}

// key=value pieces, each followed by ^A; a pair of them ends the message.
std::optional<std::string_view> value_of(std::string_view name, std::string_view pieces) {
    for (auto const piece : split(pieces, separator))
        if (auto const [key, value] = halve(piece, '='); value && equals_ignoring_case(key, name))
            return value;
    return std::nullopt;
}

// "n,a=user@example.com," ^A "host=..." ^A "port=..." ^A "auth=Bearer ..." ^A ^A
std::optional<Message> oauthbearer_message(std::string_view text) {
    auto const [header, pairs] = halve(text, separator);
    auto const parts = split(header, ',');
    if (!pairs || parts.size() != 3 || !parts[2].empty()) return std::nullopt;
    if (parts[0] != "n" && parts[0] != "y") return std::nullopt; // channel binding is not offered
    if (!parts[1].starts_with("a=")) return std::nullopt;        // as Dovecot: somebody must be named
    auto user = gs2_name(parts[1].substr(2));
    auto const authorization = value_of("auth", *pairs);
    if (!user || !authorization) return std::nullopt;
    return Message{std::move(*user), *authorization};
}

// "user=user@example.com" ^A "auth=Bearer ..." ^A ^A
std::optional<Message> xoauth2_message(std::string_view text) {
    auto const user = value_of("user", text);
    auto const authorization = value_of("auth", text);
    if (!user || !authorization || user->contains('\0')) return std::nullopt;
    return Message{std::string(*user), *authorization};
}

class Bearer final : public Mechanism {
  public:
    Bearer(std::optional<Message> (*read)(std::string_view), bool numbers, MechanismContext const& context)
        : read_(read), numbers_(numbers), scope_(context.token_scope),
          openid_configuration_(context.openid_configuration) {}

    Step receive(std::string_view response) override {
        // RFC 7628 3.2.3: the client answers the error with a dummy, and only then it fails.
        if (broken_) return Refused{"invalid input"};
        auto message = read_(response);
        auto const token = message ? bearer_token(message->authorization) : std::nullopt;
        if (token && !token->empty()) return CheckPassword{std::move(message->user), "", Secret(*token)};
        broken_ = true;
        return error("invalid_request", "400");
    }

    std::optional<Challenge> refusal(Outcome const& outcome) override {
        auto const known =
            outcome.verdict == Verdict::user_disabled || outcome.verdict == Verdict::password_expired;
        return known ? error("insufficient_scope", "403") : error("invalid_token", "401");
    }

  private:
    // RFC 7628 3.2.2; XOAUTH2 has HTTP's numbers for it.
    Challenge error(char const* word, char const* number) const {
        json::Value::Object members{{"status", numbers_ ? number : word}};
        if (numbers_) members.push_back({"schemes", "bearer"});
        members.push_back({"scope", scope_.empty() ? "mail" : scope_});
        if (!openid_configuration_.empty())
            members.push_back({"openid-configuration", openid_configuration_});
        return Challenge{json::write(std::move(members))};
    }

    std::optional<Message> (*const read_)(std::string_view);
    bool const numbers_;
    std::string const scope_, openid_configuration_;
    bool broken_ = false;
};

} // namespace

std::unique_ptr<Mechanism> make_oauthbearer(MechanismContext const& context) {
    return std::make_unique<Bearer>(oauthbearer_message, false, context);
}
std::unique_ptr<Mechanism> make_xoauth2(MechanismContext const& context) {
    return std::make_unique<Bearer>(xoauth2_message, true, context);
}

} // namespace postern::auth_socket
