// One login or lookup while it is worked on, and how it came out.
#pragma once

#include "auth-socket/fields.h"
#include "auth-socket/protocol.h"
#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/secret.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postern::auth_socket {

// What a passdb was found to hold before it is asked in its turn.
struct LookedUp {
    std::uint32_t database = 0; // which one, as in Request
    Result<std::vector<Fields>> rows;
};

struct Remarks;

// Everything the query templates' variables may ask for.
struct Request {
    std::string user;               // normalised; databases may rename it
    std::string original_user;      // as the client wrote it
    std::string authenticated_user; // who gave the password when that is not the user: a master user
    std::string login_user;         // while a master user is checked: who it wants to be
    std::string mechanism;          // in capitals; empty for lookups
    ClientInfo client;
    bool name_refused = false; // empty, or an octet outside auth_username_chars
    std::string answered_by;   // the driver of the passdb that knew the user, for the log
    std::uint32_t id = 0;
    std::uint32_t client_pid = 0;
    std::uint32_t session_pid = 0; // the mail process that asks for the user of a login; 0: none does
    std::uint32_t database = 0;    // which of the passdbs or userdbs is being asked, from 1
    Secret password;               // for %w; plaintext mechanisms only
    Fields passdb;                 // what the passdbs said: %{passdb:name}
    Fields userdb;                 // and the userdbs: %{userdb:name}
    Fields oauth2;                 // and the access token: %{oauth2:name}
    std::optional<Fields> row;     // and the one that is being asked: %{sql:name}
    Fields policy; // what only the policy server is told: %{hashed_password}, %{requested_username}
    bool policy_asked = false;              // before the password, once for a login
    Deadline answer_by = Deadline::never(); // when the client goes away
    std::shared_ptr<LookedUp const> looked_up = nullptr;
    std::shared_ptr<Remarks> remarks; // while passdbs are asked: what they say, for the log

    // "(user,192.0.2.1,<session>)", as every log line about a request has it.
    std::string log_name() const;
    // Who waits in one line where several do: the client's address (IPv6: its /64), else the name it gave.
    std::string turn() const;
};

// A stored password, decoded from its {SCHEME.encoding} form.
struct Credential {
    std::string scheme; // in capitals, without the encoding: "SHA512-CRYPT"
    Secret value;       // raw octets for digests, text for crypt forms
};

enum class Verdict {
    ok,
    password_mismatch,
    unknown_user,
    refused,       // an odd user name, a network that is not allowed, no usable stored password
    wrong_network, // not from where the user may log in; final, whatever other databases say
    user_disabled,
    password_expired,
    not_authorized, // a master user may not be this user
    temporary,      // could not be found out: never to be told as "wrong password"
};

struct Outcome {
    Verdict verdict = Verdict::temporary;
    std::string user; // after renames
    Fields reply;     // extra fields for OK and FAIL
    Fields userdb;    // userdb_* of the password query, for prefetch
    bool userdb_prefetched = false;
    bool only_fields = false; // noauthenticate: nobody has looked at the password yet
    bool without_delay = false;
    // find_secret() only, and then always but for a temporary failure. With a verdict that is not ok the
    // mechanism goes on with it all the same, so that the client learns nothing before it has proven itself.
    std::optional<Credential> credential;
    bool refused_by_policy = false; // the policy server's word, not a database's
    // Not the end: the login is to be tried again after so long.
    std::chrono::milliseconds wait_first{0};
    std::chrono::seconds answer_after{0}; // delay_until: who may log in is told only then
    bool credential_is_invented = false;  // nobody's: whatever the client proves, the verdict stands
};

} // namespace postern::auth_socket
