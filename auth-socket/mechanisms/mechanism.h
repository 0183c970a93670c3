// SASL mechanisms as state machines: responses in, the next step out. They see no socket and no database.
#pragma once

#include "auth-socket/request.h"
#include "common/base/secret.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace postern::auth_socket {

class Tokens;

// Sent to the client; its answer comes back through receive().
struct Challenge {
    std::string data;
};
// Is this the user's password? The session asks the databases; the mechanism is done.
struct CheckPassword {
    std::string user;          // as the client wrote it
    std::string authorization; // whom the user wants to be; empty: itself
    Secret password;
};
// The stored password in one of these schemes, the first one preferred; it comes back through secret().
struct NeedSecret {
    std::string user;
    std::string authorization;
    std::vector<std::string> schemes;
};
// Nothing is left to prove; after NeedSecret the user is the one asked for. final_data goes with the OK, or
// in a last challenge where the client does not take it there.
struct Proven {
    std::string final_data;
};
// The client is who it says without a password: look the user up (EXTERNAL), or not even that.
struct Trusted {
    enum class Ground { certificate, anonymous, token };
    std::string user;
    std::string authorization;
    Ground ground = Ground::certificate;
};
struct Refused {
    std::string why;       // for the log
    bool mismatch = false; // a wrong password rather than broken data
};
using Step = std::variant<Challenge, CheckPassword, NeedSecret, Proven, Trusted, Refused>;

class Mechanism {
  public:
    virtual ~Mechanism() = default;
    // With the initial response, if the client sent one. Unless told otherwise: asks for it with an empty
    // challenge, or takes it as the first response.
    virtual Step start(std::optional<std::string_view> initial) {
        return initial ? receive(*initial) : Step(Challenge{});
    }
    virtual Step receive(std::string_view response) = 0;
    // After CheckPassword and a verdict that is not ok: what the client is told, and answers, before it
    // fails. Absent: it fails at once.
    virtual std::optional<Challenge> refusal(Outcome const&) { return std::nullopt; }
    // request is the user as the databases know it. Only after NeedSecret.
    virtual Step secret(Credential const&, Request const&) {
        return Refused{"the mechanism asked for no secret"};
    }
};

// What the mechanisms take from the configuration and from the connection.
struct MechanismContext {
    std::vector<std::string> realms;
    std::string host_name;
    std::string anonymous_user = "anonymous";
    std::string certificate_user; // of this connection
    bool valid_certificate = false;
    std::string fixed_nonce; // for tests; empty: a random one
    Tokens const* tokens = nullptr;
    std::string token_scope, openid_configuration; // where a client may get another token (RFC 7628 3.2.2)
};

// One row of the MECH lines.
struct MechanismKind {
    std::string_view name;
    std::string_view flags; // as they stand in MECH, tab-separated
    bool plaintext;         // the server sees the password
    std::unique_ptr<Mechanism> (*make)(MechanismContext const&);
};

// All that Postern knows, in the order in which they are announced.
std::vector<MechanismKind> const& mechanism_kinds();
MechanismKind const* find_mechanism(std::string_view name); // in capitals
// Served on token sockets only, where no other one is.
MechanismKind const& token_mechanism();

std::unique_ptr<Mechanism> make_plain(MechanismContext const&); // RFC 4616
std::unique_ptr<Mechanism> make_login(MechanismContext const&);
std::unique_ptr<Mechanism> make_cram_md5(MechanismContext const&);      // RFC 2195
std::unique_ptr<Mechanism> make_digest_md5(MechanismContext const&);    // RFC 2831
std::unique_ptr<Mechanism> make_scram_sha_1(MechanismContext const&);   // RFC 5802
std::unique_ptr<Mechanism> make_scram_sha_256(MechanismContext const&); // RFC 7677
std::unique_ptr<Mechanism> make_external(MechanismContext const&);      // RFC 4422 appendix A
std::unique_ptr<Mechanism> make_anonymous(MechanismContext const&);     // RFC 4505
std::unique_ptr<Mechanism> make_oauthbearer(MechanismContext const&);   // RFC 7628
std::unique_ptr<Mechanism> make_xoauth2(MechanismContext const&);

} // namespace postern::auth_socket
