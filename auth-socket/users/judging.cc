// What a passdb's rows say of a password, and of the user who gave it.
#include "auth-socket/users/authenticator.h"

#include "auth-socket/schemes/scheme.h"
#include "auth-socket/users/chain.h"
#include "common/base/text.h"

#include <algorithm>
#include <ctime>
#include <utility>

namespace postern::auth_socket {

// Several rows are passwords of several applications: one after another.
Verdict Authenticator::judge_rows(ConfiguredPassdb const& passdb, std::vector<Fields> const& rows,
                                  Request& request, Outcome& outcome, Question const& question) const {
    auto verdict = Verdict::unknown_user;
    for (auto const& row : rows) {
        auto attempt = request;
        auto attempt_outcome = outcome;
        verdict = judge_row(passdb, row, attempt, attempt_outcome, question);
        if (verdict == Verdict::ok || &row == &rows.back()) {
            request = std::move(attempt);
            outcome = std::move(attempt_outcome);
        }
        if (verdict == Verdict::ok || verdict == Verdict::temporary) break;
    }
    return verdict;
}

Verdict Authenticator::judge_row(ConfiguredPassdb const& passdb, Fields const& row, Request& request,
                                 Outcome& outcome, Question const& question) const {
    auto const asking = request;
    auto fields = expanded(passdb.block.default_fields, request);
    PassdbRow understood;
    if (fields) {
        if (passdb.block.imports_all) fields->merge(row);
        understood = apply_passdb_row(*fields, request, outcome);
        fields = overrides(passdb.block, row, request);
    }
    if (!fields) {
        log_.error("auth: {}{}: {}", passdb.block.name, asking.log_name(), fields.error().text);
        return Verdict::temporary;
    }
    understood = apply_passdb_row(*fields, request, outcome, std::move(understood));
    outcome.only_fields = understood.no_authentication;
    if (understood.no_authentication) return Verdict::ok;
    // The password first: what follows would tell a stranger about the account.
    auto const verdict = question.judge(passdb, understood, asking, outcome);
    return verdict == Verdict::ok && question.lets_in ? admit(passdb, understood, request, outcome) : verdict;
}

Verdict Authenticator::admit(ConfiguredPassdb const& passdb, PassdbRow const& row, Request& request,
                             Outcome& outcome) const {
    auto const verdict = check_admission(passdb, row, request);
    if (verdict != Verdict::ok) return verdict;
    if (!row.delay_until.empty()) {
        auto const left = delay_left(row.delay_until, std::time(nullptr));
        if (!left) {
            say(passdb, request, Verdict::refused, left.error().text);
            return left.error().kind == ErrorKind::temporary ? Verdict::temporary : Verdict::refused;
        }
        outcome.answer_after = *left;
    }
    if (!row.login_user.empty()) {
        request.authenticated_user = std::exchange(request.user, row.login_user);
        outcome.user = request.user;
    }
    return Verdict::ok;
}

Verdict Authenticator::check_admission(ConfiguredPassdb const& passdb, PassdbRow const& row,
                                       Request const& request) const {
    auto const& client = request.client;
    if (row.allow_nets && !is_in_networks(client.remote_ip, *row.allow_nets)) {
        say(passdb, request, Verdict::wrong_network, "allow_nets check failed: IP not in allowed networks");
        return Verdict::wrong_network;
    }
    auto const& real_ip = client.real_remote_ip.empty() ? client.remote_ip : client.real_remote_ip;
    if (row.allow_real_nets && !is_in_networks(real_ip, *row.allow_real_nets)) {
        say(passdb, request, Verdict::wrong_network,
            "allow_real_nets check failed: IP not in allowed networks");
        return Verdict::wrong_network;
    }
    if (row.fail) {
        say(passdb, request, Verdict::refused, "login refused by field fail: " + *row.fail);
        return Verdict::refused;
    }
    if (row.disabled) {
        say(passdb, request, Verdict::user_disabled, "User is disabled");
        return Verdict::user_disabled;
    }
    if (row.expired) {
        say(passdb, request, Verdict::password_expired, "Password expired");
        return Verdict::password_expired;
    }
    return Verdict::ok;
}

Result<Credential> Authenticator::stored_credential(ConfiguredPassdb const& passdb, PassdbRow const& row,
                                                    Request const& request) const {
    auto const scheme = default_scheme(passdb);
    auto stored = row.password.value_or("");
    if (row.password_without_scheme) stored = "{" + scheme + "}" + stored;
    auto credential = read_stored_password(stored, scheme);
    wipe(stored);
    if (!credential)
        log_.error("auth: {}{}: {}", passdb.block.name, request.log_name(), credential.error().text);
    return credential;
}

Verdict Authenticator::without_password(ConfiguredPassdb const& passdb, Request const& request) const {
    log_.error("auth: {}{}: {} gives no column named \"password\", and nopassword is not set",
               passdb.block.name, request.log_name(),
               passdb.block.driver == "sql" ? "the password query" : "the passdb");
    return Verdict::temporary;
}

Verdict Authenticator::verify(ConfiguredPassdb const& passdb, PassdbRow const& row, Request const& request,
                              Secret const& password) const {
    if (row.no_password) {
        if (row.password.value_or("").empty()) return Verdict::ok;
        log_.error("auth: {}{}: nopassword is set but the password is not empty", passdb.block.name,
                   request.log_name());
        return Verdict::temporary;
    }
    if (row.fail && !row.has_password_column) return Verdict::ok; // check_admission() refuses it
    if (!row.has_password_column) return without_password(passdb, request);
    if (row.password.value_or("").empty()) {
        say(passdb, request, Verdict::refused, "Empty password returned without nopassword");
        verify_nobody(request, password);
        return Verdict::password_mismatch;
    }
    if (is_locked(*row.password, default_scheme(passdb))) {
        verify_nobody(request, password);
        return Verdict::password_mismatch;
    }
    auto const credential = stored_credential(passdb, row, request);
    if (!credential) return Verdict::temporary;
    hashing_.learn(request.user, *credential);
    auto const same =
        hashing_.verify(*credential, {password.reveal(), request.original_user}, request.turn());
    if (same) return *same ? Verdict::ok : Verdict::password_mismatch;
    log_.error("auth: {}{}: {}", passdb.block.name, request.log_name(), same.error().text);
    return Verdict::temporary;
}

Verdict Authenticator::pick_secret(ConfiguredPassdb const& passdb, PassdbRow const& row,
                                   Request const& request, std::span<std::string const> wanted,
                                   Outcome& outcome) const {
    if (row.password.value_or("").empty() || is_locked(*row.password, default_scheme(passdb))) {
        say(passdb, request, Verdict::refused, "no password for " + request.mechanism);
        return Verdict::refused;
    }
    auto credential = stored_credential(passdb, row, request);
    if (!credential) return Verdict::temporary;
    if (!is_plaintext_scheme(credential->scheme) &&
        std::ranges::find(wanted, credential->scheme) == wanted.end()) {
        say(passdb, request, Verdict::refused,
            "Requested " + request.mechanism + " scheme, but we have only " + credential->scheme);
        return Verdict::refused;
    }
    hashing_.learn(request.user, *credential);
    outcome.credential = std::move(*credential);
    return Verdict::ok;
}

} // namespace postern::auth_socket
