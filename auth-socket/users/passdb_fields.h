// What a password query's columns mean: renames, networks, prefetched userdb fields, what goes out with OK.
#pragma once

#include "auth-socket/request.h"
#include "common/base/error.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postern::auth_socket {

// One row, as far as it is understood.
struct PassdbRow {
    std::optional<std::string> password; // absent: NULL or no such column
    bool has_password_column = false;
    bool password_without_scheme = false; // password_noscheme: '{' is part of it
    bool no_password = false;
    bool disabled = false;
    bool expired = false;
    bool no_authentication =
        false; // noauthenticate: its fields count, but somebody else must let the user in
    std::optional<std::string> fail;                        // "fail", with the log's reason
    std::optional<std::string> allow_nets, allow_real_nets; // an empty one is no network at all
    std::string login_user;  // who it is that logs in with this user's password
    std::string delay_until; // "timestamp+random seconds"
};

// Puts a row into the request (renames, %{passdb:...}) and the outcome (reply, prefetch, nodelay). before:
// what is known already, and goes on to count where the row says nothing.
PassdbRow apply_passdb_row(Fields const& row, Request& request, Outcome& outcome, PassdbRow before = {});

// "192.0.2.0/24, 2001:db8::/32, local". "local" is a client without an address.
bool is_in_networks(std::string_view address, std::string_view networks);

// user, username or domain: the user's new name; absent for other fields.
std::optional<std::string> renamed(std::string_view user, std::string_view field, std::string_view value);

// How long a delay_until is from now on, now being seconds since 1970. An error: it is not one (temporary),
// or too far away to be waited for (permanent).
Result<std::chrono::seconds> delay_left(std::string_view delay_until, std::int64_t now);

// A column says no by "", "0", "n", "no", "f" and "false".
bool is_set(std::string_view value);

} // namespace postern::auth_socket
