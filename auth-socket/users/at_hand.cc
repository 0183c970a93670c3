// Logins that need nobody else: what the passdb has is in memory, its hash is a quick one, and the password
// fits.
#include "auth-socket/users/authenticator.h"

#include "auth-socket/schemes/scheme.h"
#include "auth-socket/users/chain.h"
#include "common/base/text.h"

namespace postern::auth_socket {

namespace {

// Nothing in it that could still keep somebody out whose password is right.
bool is_unconditional(PassdbRow const& row) {
    return !row.allow_nets && !row.allow_real_nets && !row.fail && !row.disabled && !row.expired &&
           !row.no_password && !row.no_authentication && row.login_user.empty() && row.delay_until.empty();
}

bool is_plain(DatabaseBlock const& block) {
    return !block.deny && block.success == Rule::return_ok && block.default_fields.empty() &&
           block.override_fields.empty() && block.imports_all;
}

} // namespace

ConfiguredPassdb const* Authenticator::first_asked(Request const& request) const {
    for (auto const& passdb : passdbs_)
        if (!passdb.block.master && !is_skipped(passdb.block, request, false)) return &passdb;
    return nullptr;
}

bool Authenticator::fits_quickly(ConfiguredPassdb const& passdb, PassdbRow const& row, Request const& request,
                                 Secret const& password) const {
    if (row.password_without_scheme || row.password.value_or("").empty()) return false;
    auto const credential = read_stored_password(*row.password, default_scheme(passdb));
    auto const* scheme = credential ? find_scheme(credential->scheme) : nullptr;
    if (scheme == nullptr || scheme->slow) return false;
    hashing_.learn(request.user, *credential);
    return hashing_.verify(*credential, {password.reveal(), request.original_user}, "").value_or(false);
}

// The usual case only; a worker does what is not, from the beginning.
std::optional<Outcome> Authenticator::login_at_hand(Request& request, std::string_view authorization,
                                                    Secret const& password) const {
    auto const separator = settings_.username.master_separator;
    auto const names_master = !separator.empty() && request.original_user.contains(separator[0]);
    auto user = normalised_user(request.original_user, settings_.username, request);
    if (!user || !authorization.empty() || names_master) return std::nullopt;
    request.user.swap(*user);
    auto outcome = known_at_hand(request, password);
    if (!outcome) request.user.swap(*user);
    return outcome;
}

std::optional<Outcome> Authenticator::known_at_hand(Request& request, Secret const& password) const {
    auto const* passdb = first_asked(request);
    if (passdb == nullptr || !is_plain(passdb->block)) return std::nullopt;
    auto const rows = passdb->database->at_hand(request);
    if (!rows || rows->size() != 1) return std::nullopt;
    auto attempt = request;
    Outcome outcome;
    auto const row = apply_passdb_row(rows->front(), attempt, outcome);
    if (!is_unconditional(row) || !fits_quickly(*passdb, row, request, password)) return std::nullopt;
    passdb->database->note(request, true);
    attempt.answered_by = passdb->block.name;
    request = std::move(attempt);
    if (settings_.verbose) log_.info("auth: {}{}: login ok", request.answered_by, request.log_name());
    outcome.verdict = Verdict::ok;
    return outcome;
}

} // namespace postern::auth_socket
