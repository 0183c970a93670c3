// Tokens by which Dovecot's imap process shows imap-urlauth and its like that its user has logged in.
#pragma once

#include "common/base/error.h"
#include "common/base/secret.h"

#include <string>
#include <string_view>

namespace postern::auth_socket {

inline constexpr std::size_t token_secret_size = 32; // octets

// What a token says: these four, in this order, stand before it in a DOVECOT-TOKEN response.
struct TokenClaim {
    std::string_view service, session_pid, user, session;
};

class Tokens {
  public:
    // For this process only: its tokens are worth nothing after a restart.
    Tokens();
    explicit Tokens(std::string secret) : secret_(std::move(secret)) {}
    // The secret that Dovecot's auth keeps below base_dir, made when it is not there. A file of another size,
    // mode or owner has been tampered with and is replaced. Permanent error: it cannot be written.
    static Result<Tokens> kept_in(std::string const& path);

    // Hexadecimal HMAC-SHA-1 under the user's name, as Dovecot 2.3 computes it, so that a change of the auth
    // server leaves tokens valid.
    std::string make(TokenClaim const& claim) const;
    bool fits(TokenClaim const& claim, std::string_view token) const;

  private:
    Secret secret_;
};

} // namespace postern::auth_socket
