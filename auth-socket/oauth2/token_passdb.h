// passdb oauth2: the password is an access token, checked by keys or by asking a server.
#pragma once

#include "auth-socket/oauth2/endpoint.h"
#include "auth-socket/oauth2/key_store.h"
#include "auth-socket/oauth2/settings.h"
#include "auth-socket/users/database.h"

#include <functional>
#include <memory>

namespace postern::auth_socket {

class TokenPassdb final : public Passdb {
  public:
    using UnixTime = std::function<std::int64_t()>;

    // client: null where no server is to be asked.
    TokenPassdb(TokenSettings settings, std::shared_ptr<http::Client const> client, UnixTime now = unix_time);

    // A server does not give passwords away.
    Result<std::vector<Fields>> lookup(Request const&) const override { return std::vector<Fields>{}; }
    std::optional<Result<Checked>> check(Request const& request, Secret const& token) const override;
    bool knows_users() const override { return false; }
    bool asks_web() const override { return client_ != nullptr; }

  private:
    TokenAnswer ask(std::string_view token, Request const& request, Deadline deadline) const;
    TokenAnswer by_password(std::string_view password, Request const& request, Deadline deadline) const;
    TokenAnswer by_keys(Jwt const& jwt) const;
    TokenAnswer by_servers(std::string_view token, Request const& request, Deadline deadline) const;
    TokenAnswer introspected(TokenAnswer first, std::string_view token, Request const& request,
                             Deadline deadline) const;
    bool tells_enough(json::Value const& claims) const;
    Checked judged(TokenAnswer answer, Request const& request) const;
    std::optional<Checked> objection(Fields const& claims, Request const& request) const;

    TokenSettings const settings_;
    std::shared_ptr<http::Client const> const client_;
    std::optional<KeyStore> keys_;
    UnixTime const now_;
};

} // namespace postern::auth_socket
