// DIGEST-MD5 (RFC 2831, historic since RFC 6331): kept for clients that know nothing newer.
#include "auth-socket/mechanisms/mechanism.h"

#include "auth-socket/schemes/kinds.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

namespace postern::auth_socket {

namespace {

constexpr std::size_t max_directives = 32;

using Directives = std::map<std::string, std::string, std::less<>>;

// name=value or name="quoted \"value\"", separated by commas; each name once. Absent when it is not of that
// form.
std::optional<Directives> read_directives(std::string_view text) {
    Directives directives;
    while (true) {
        text = trim_left(text);
        if (text.empty()) return directives;
        auto const equals = text.find('=');
        if (equals == std::string_view::npos || directives.size() >= max_directives) return std::nullopt;
        auto name = to_lower(trim(text.substr(0, equals)));
        text = trim_left(text.substr(equals + 1));
        std::string value;
        if (text.starts_with('"')) {
            std::size_t i = 1;
            for (; i < text.size() && text[i] != '"'; ++i) {
                if (text[i] == '\\' && ++i == text.size()) return std::nullopt;
                value += text[i];
            }
            if (i >= text.size()) return std::nullopt;
            text = trim_left(text.substr(i + 1));
        } else {
            auto const end = std::min(text.find(','), text.size());
            value = trim(text.substr(0, end));
            text = text.substr(end);
        }
        if (!directives.emplace(std::move(name), std::move(value)).second) return std::nullopt;
        if (!text.empty() && text.front() != ',') return std::nullopt;
        if (!text.empty()) text.remove_prefix(1);
    }
}

class DigestMd5 final : public Mechanism {
  public:
    explicit DigestMd5(MechanismContext const& context)
        : realms_(context.realms),
          nonce_(context.fixed_nonce.empty() ? base64_encode(random_octets(16)) : context.fixed_nonce) {}

    // Subsequent authentication (an initial response) is not offered: the nonce is fresh each time.
    Step start(std::optional<std::string_view>) override {
        std::string realms;
        for (auto const& realm : realms_) realms += fmt::format("realm=\"{}\",", realm);
        if (realms.empty()) realms = "realm=\"\",";
        return Challenge{fmt::format("{}nonce=\"{}\",qop=\"auth\",charset=\"utf-8\",algorithm=\"md5-sess\"",
                                     realms, nonce_)};
    }

    Step receive(std::string_view response) override {
        auto directives = read_directives(response);
        if (!directives || !usable(*directives)) return Refused{"invalid input"};
        given_ = std::move(*directives);
        auto const& name = given_["username"];
        auto const& realm = given_["realm"];
        auto const user = name.contains('@') || realm.empty() ? name : fmt::format("{}@{}", name, realm);
        auto authorization = given_["authzid"];
        if (authorization == name) authorization.clear();
        return NeedSecret{user, authorization, {"DIGEST-MD5"}};
    }

    Step secret(Credential const& credential, Request const&) override {
        // A password in plain text is hashed with the very name and realm that the client used.
        Secret const key(credential.scheme == "DIGEST-MD5"
                             ? std::string(credential.value.reveal())
                             : kinds::md5(fmt::format("{}:{}:{}", given_["username"], given_["realm"],
                                                      credential.value.reveal())));
        auto const expected = response_value(key.reveal(), "AUTHENTICATE:");
        if (!equal_in_constant_time(expected, to_lower(given_["response"])))
            return Refused{"Password mismatch", true};
        return Proven{fmt::format("rspauth={}", response_value(key.reveal(), ":"))};
    }

  private:
    bool usable(Directives const& given) const {
        auto const value = [&](std::string_view name) {
            auto const found = given.find(name);
            return found == given.end() ? std::string_view() : std::string_view(found->second);
        };
        if (value("username").empty() || value("username").contains('\0') || value("cnonce").empty())
            return false;
        if (value("nonce") != nonce_ || value("nc") != "00000001") return false;
        if (!value("qop").empty() && value("qop") != "auth") return false;
        if (value("response").size() != 32) return false;
        if (realms_.empty() || value("realm").empty()) return true;
        return std::ranges::any_of(
            realms_, [&](auto const& realm) { return equals_ignoring_case(realm, value("realm")); });
    }

    // RFC 2831 2.1.2.1 with qop=auth and algorithm=md5-sess.
    std::string response_value(std::string_view key, std::string_view a2_prefix) {
        auto a1 = fmt::format("{}:{}:{}", key, nonce_, given_["cnonce"]);
        if (!given_["authzid"].empty()) a1 += fmt::format(":{}", given_["authzid"]);
        auto const a2 = fmt::format("{}{}", a2_prefix, given_["digest-uri"]);
        auto const joined = fmt::format("{}:{}:00000001:{}:auth:{}", hex_encode(kinds::md5(a1)), nonce_,
                                        given_["cnonce"], hex_encode(kinds::md5(a2)));
        wipe(a1);
        return hex_encode(kinds::md5(joined));
    }

    std::vector<std::string> realms_;
    std::string nonce_;
    Directives given_;
};

} // namespace

std::unique_ptr<Mechanism> make_digest_md5(MechanismContext const& context) {
    return std::make_unique<DigestMd5>(context);
}

} // namespace postern::auth_socket
