// The servers that know what a token says: requests for them, and what their answers mean.
#pragma once

#include "auth-socket/oauth2/settings.h"
#include "auth-socket/request.h"
#include "common/http/http.h"
#include "common/json/json.h"

#include <string>
#include <string_view>

namespace postern::auth_socket {

// What a server, or a key, said about a token.
struct TokenAnswer {
    Verdict verdict = Verdict::temporary;
    std::string why;    // for the log, when the verdict is not ok
    json::Value claims; // an object, when it is
};

// Whose authorization the request carried: a 401 is about that.
enum class Asker { token, ourselves };

// Only what the server clearly says about the token is held against it; everything else is temporary.
TokenAnswer understand_answer(http::Answer const& answer, Asker asker, std::int64_t now);

class TokenEndpoint {
  public:
    TokenEndpoint(TokenSettings const& settings, http::Client const& client)
        : settings_(settings), client_(client) {}

    TokenAnswer token_info(std::string_view token, Request const& request, Deadline deadline) const;
    TokenAnswer introspect(std::string_view token, Request const& request, Deadline deadline) const;
    // claims then has access_token.
    TokenAnswer exchange_password(std::string_view password, Request const& request, Deadline deadline) const;

  private:
    void add_client(std::string& text) const;
    http::Request prepared(std::string url, Request const& request) const;
    TokenAnswer send(http::Request const& request, Asker asker, Deadline deadline) const;

    TokenSettings const& settings_;
    http::Client const& client_;
};

} // namespace postern::auth_socket
