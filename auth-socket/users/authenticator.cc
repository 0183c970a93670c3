// Logins: user names, passdbs in order, passwords.
#include "auth-socket/users/authenticator.h"

#include "auth-socket/schemes/kinds.h"
#include "auth-socket/schemes/scheme.h"
#include "auth-socket/users/chain.h"
#include "auth-socket/users/remarks.h"
#include "common/base/encoding.h"
#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace postern::auth_socket {

namespace {

Verdict always_ok(ConfiguredPassdb const&, PassdbRow const&, Request const&, Outcome&) { return Verdict::ok; }

} // namespace

Authenticator::Authenticator(AuthenticatorSettings settings, std::vector<ConfiguredPassdb> passdbs,
                             std::vector<ConfiguredUserdb> userdbs, Hashing& hashing, Log& log)
    : settings_(std::move(settings)), passdbs_(std::move(passdbs)), userdbs_(std::move(userdbs)),
      hashing_(hashing), log_(log) {}

std::string Authenticator::account(Request const& request, std::string_view name) const {
    auto const separator = settings_.username.master_separator;
    if (auto const at = separator.empty() ? std::string_view::npos : name.find(separator[0]);
        at != std::string_view::npos)
        name.remove_prefix(at + 1);
    return normalised_user(name, settings_.username, request).value_or(std::string(name));
}

bool Authenticator::asks_web(std::string_view mechanism) const {
    return std::ranges::any_of(passdbs_, [mechanism](ConfiguredPassdb const& passdb) {
        auto const& served = passdb.block.mechanisms;
        return passdb.database->asks_web() &&
               (served.empty() || std::ranges::find(served, mechanism) != served.end());
    });
}

Outcome Authenticator::check_password(Request& request, std::string_view authorization,
                                      Secret const& password) const {
    auto outcome = login(request, authorization,
                         {[&](auto const& passdb, PassdbRow const& row, Request const& asking, Outcome&) {
                              return verify(passdb, row, asking, password);
                          },
                          &password});
    if (outcome.verdict == Verdict::unknown_user) verify_nobody(request, password);
    return outcome;
}

Outcome Authenticator::find_secret(Request& request, std::string_view authorization,
                                   std::span<std::string const> wanted) const {
    auto outcome = login(request, authorization,
                         {[&](auto const& passdb, PassdbRow const& row, Request const& asking,
                              Outcome& judged) { return pick_secret(passdb, row, asking, wanted, judged); }});
    if (outcome.verdict == Verdict::temporary || request.name_refused) return outcome;
    auto const& scheme = wanted.front();
    if (!outcome.credential) {
        outcome.credential = hashing_.secret_of_nobody(scheme, request.user, request.turn());
        outcome.credential_is_invented = true;
        if (outcome.verdict == Verdict::ok) outcome.verdict = Verdict::refused;
    } else if (scheme.starts_with("SCRAM-") && outcome.credential->scheme != scheme) {
        outcome.credential =
            hashing_.scram_of_plain(scheme, request.user, *outcome.credential, request.turn());
    }
    return outcome;
}

Outcome Authenticator::find_login(Request& request, std::string_view authorization) const {
    // A row without a password is not what a password query is for: nobody is to be shown what else is in it.
    auto outcome = login(request, authorization,
                         {[this](auto const& passdb, PassdbRow const& row, Request const& asking, Outcome&) {
                             if (row.has_password_column || row.no_password || row.fail) return Verdict::ok;
                             return without_password(passdb, asking);
                         }});
    if (outcome.verdict != Verdict::unknown_user) return outcome;
    if (auto const* blind = passdb_that_asks_for_passwords(request)) {
        log_.error("auth: {}{}: this passdb can be asked with a password only", blind->block.name,
                   request.log_name());
        outcome.verdict = Verdict::temporary;
    }
    return outcome;
}

Outcome Authenticator::refused(Request& request, std::string_view name, std::string_view why) const {
    request.user = name;
    request.name_refused = true;
    auto const asked = request.mechanism.empty() ? "passdb" : to_lower(request.mechanism);
    log_.info("auth: {}{}: {}", asked, request.log_name(), why);
    Outcome outcome;
    outcome.verdict = Verdict::refused;
    return outcome;
}

Outcome Authenticator::login(Request& request, std::string_view authorization,
                             Question const& question) const {
    std::string_view name = request.original_user;
    auto const separator = settings_.username.master_separator;
    auto target = std::string(authorization);
    if (auto const at = separator.empty() ? std::string::npos : name.find(separator[0]);
        at != std::string::npos) {
        target = name.substr(0, at); // "user*master"
        name = name.substr(at + 1);
        if (target.empty())
            return refused(request, name, "Master user login attempted to use empty login username");
    }
    auto user = normalised_user(name, settings_.username, request);
    if (!user) return refused(request, name, user.error().text);
    request.user = *user;
    if (!target.empty() && target != name && target != request.user) {
        request.login_user = normalised_user(target, settings_.username, request).value_or(target);
        return master_login(request, target, question);
    }
    auto outcome = ask_passdbs(request, false, question);
    if (outcome.verdict == Verdict::ok && settings_.verbose)
        log_.info("auth: {}{}: login ok", request.answered_by, request.log_name());
    return outcome;
}

Outcome Authenticator::master_login(Request& request, std::string const& target,
                                    Question const& question) const {
    if (std::ranges::none_of(passdbs_, [](auto const& passdb) { return passdb.block.master; }))
        log_.info("auth: {}{}: unknown user (Master user login attempted without master passdbs)",
                  to_lower(request.mechanism), request.log_name());
    auto outcome = ask_passdbs(request, true, question);
    if (outcome.verdict != Verdict::ok) return outcome;
    auto user = normalised_user(target, settings_.username, request);
    if (!user) {
        log_.info("auth: master{}: {}", request.log_name(), user.error().text);
        outcome.verdict = Verdict::not_authorized;
        return outcome;
    }
    request.authenticated_user = request.user;
    request.user = *user;
    request.login_user.clear();
    log_.info("auth: {}{}: Master user logging in as {}", request.answered_by, request.log_name(),
              printable(request.user));
    auto const asks_user_too = std::ranges::any_of(passdbs_, [](auto const& passdb) {
        return passdb.block.master && passdb.block.success == Rule::continue_on;
    });
    if (!asks_user_too) {
        outcome.user = request.user;
        return outcome;
    }
    // The user must exist; what is proven is the master's password, so the secret stays the master's.
    auto as_user = ask_passdbs(request, false, {always_ok});
    as_user.credential = std::move(outcome.credential);
    if (as_user.verdict == Verdict::unknown_user) as_user.verdict = Verdict::not_authorized;
    return as_user;
}

std::uint32_t Authenticator::number(ConfiguredPassdb const& passdb) const {
    return static_cast<std::uint32_t>(&passdb - passdbs_.data()) + 1;
}

Result<std::vector<Fields>> Authenticator::rows(ConfiguredPassdb const& passdb, Request const& request) {
    auto const& known = request.looked_up;
    return known && known->database == request.database ? known->rows : passdb.database->lookup(request);
}

Outcome Authenticator::ask_passdbs(Request& request, bool master, Question const& question) const {
    auto const remarks = request.remarks = std::make_shared<Remarks>();
    auto outcome = asked_in_order(request, master, question);
    for (auto const& line : lines_of_failure(*remarks, outcome.verdict)) log_.info("{}", line);
    request.remarks = nullptr;
    return outcome;
}

Outcome Authenticator::asked_in_order(Request& request, bool master, Question const& question) const {
    ChainState state;
    Outcome outcome;
    outcome.user = request.user;
    bool verified = false, left_to_others = false, asked_others = false, serves_others = false;
    auto const already = Question{always_ok};
    for (auto const& passdb : passdbs_) {
        if (passdb.block.master != master) continue;
        serves_others |= !serves_mechanism(passdb.block, request);
        if (is_skipped(passdb.block, request, state.success)) continue;
        auto attempt = request;
        attempt.database = number(passdb);
        auto attempt_outcome = outcome;
        auto const verdict = ask_passdb(passdb, attempt, attempt_outcome, verified ? already : question);
        if (verdict == Verdict::ok) {
            auto const only_fields = std::exchange(attempt_outcome.only_fields, false);
            attempt.answered_by = passdb.block.name;
            request = std::move(attempt);
            outcome = std::move(attempt_outcome);
            left_to_others |= only_fields;
            if (only_fields) continue;
            // "continue-fail": it takes another's word, and that one looks for itself.
            verified = passdb.block.success != Rule::continue_fail;
        } else if (verdict != Verdict::unknown_user) {
            request.answered_by = passdb.block.name;
            outcome.without_delay = outcome.without_delay || attempt_outcome.without_delay;
            if (!outcome.credential) outcome.credential = std::move(attempt_outcome.credential);
        }
        asked_others = true;
        if (!state.goes_on(passdb.block, verdict)) break;
        // "pass = yes": this master is proven, and the user's own passdbs go on.
        if (master && verdict == Verdict::ok && passdb.block.success == Rule::continue_on) {
            state.success = true;
            break;
        }
    }
    outcome.verdict = state.verdict();
    if (asked_others || (!left_to_others && !serves_others)) return outcome;
    log_.error("auth: {}{}: {}", left_to_others ? request.answered_by : "passdb", request.log_name(),
               left_to_others
                   ? "noauthenticate leaves the password to a passdb behind it, and there is none"
                   : "every passdb is for other mechanisms (none: lookups), so that nobody was asked");
    outcome.verdict = Verdict::temporary;
    return outcome;
}

Verdict Authenticator::ask_passdb(ConfiguredPassdb const& passdb, Request& request, Outcome& outcome,
                                  Question const& question) const {
    if (question.password != nullptr) {
        if (auto const checked = passdb.database->check(request, *question.password)) {
            auto const verdict = *checked ? (*checked)->verdict : Verdict::temporary;
            auto const& text = *checked ? (*checked)->text : checked->error().text;
            if (verdict == Verdict::temporary)
                log_.error("auth: {}{}: {}", passdb.block.name, request.log_name(), text);
            else if (verdict != Verdict::ok)
                say(passdb, request, verdict, text);
            if (verdict == Verdict::ok)
                return judge_row(passdb, (*checked)->fields, request, outcome, {always_ok});
            outcome.user = request.user;
            return verdict;
        }
    }
    auto const& database = *passdb.database;
    auto const rows = this->rows(passdb, request);
    if (!rows) {
        log_.error("auth: {}{}: {}", passdb.block.name, request.log_name(), rows.error().text);
        return Verdict::temporary;
    }
    if (rows->empty()) {
        say(passdb, request, Verdict::unknown_user, "unknown user");
        return Verdict::unknown_user;
    }
    if (passdb.block.deny) {
        say(passdb, request, Verdict::refused, "User found from deny passdb");
        return Verdict::refused;
    }
    auto const asked = request;
    auto verdict = judge_rows(passdb, *rows, request, outcome, question);
    if (question.password == nullptr || outcome.only_fields) return verdict;
    if (verdict == Verdict::password_mismatch) {
        auto const fresh = database.lookup_again(asked);
        if (!fresh) {
            log_.error("auth: {}{}: {}", passdb.block.name, asked.log_name(), fresh.error().text);
            return Verdict::temporary;
        }
        if (*fresh && !(*fresh)->empty()) {
            request = asked;
            verdict = judge_rows(passdb, **fresh, request, outcome, question);
        }
    }
    database.note(asked, verdict == Verdict::ok);
    if (verdict == Verdict::password_mismatch)
        say(passdb, request, verdict, "Password mismatch" + shown(*question.password));
    return verdict;
}

// An unknown user costs the same hash as a known one, so that the time tells nothing.
void Authenticator::verify_nobody(Request const& request, Secret const& password) const {
    hashing_.verify_nobody(request.user, {password.reveal(), request.original_user},
                           default_scheme(passdbs_.front()), request.turn());
}

std::string Authenticator::default_scheme(ConfiguredPassdb const& passdb) {
    return passdb.block.default_scheme.empty() ? passdb.database->default_scheme()
                                               : passdb.block.default_scheme;
}

std::string Authenticator::shown(Secret const& password) const {
    if (settings_.shown_password == ShownPassword::never) return {};
    auto const plain = settings_.shown_password == ShownPassword::plain;
    auto text = plain ? printable(password.reveal()) : hex_encode(kinds::digest("SHA1", password.reveal()));
    if (settings_.shown_length > 0 && text.size() > settings_.shown_length)
        text.resize(settings_.shown_length);
    return (plain ? " (given password: " : " (SHA1 of given password: ") + text + ")";
}

void Authenticator::say(ConfiguredPassdb const& passdb, Request const& request, Verdict verdict,
                        std::string_view text) const {
    request.remarks->made.push_back(
        {verdict, fmt::format("auth: {}{}: {}", passdb.block.name, request.log_name(), text)});
}

void Authenticator::log_mismatch(Request const& request, std::string_view why) const {
    auto const name = request.answered_by.empty() ? to_lower(request.mechanism) : request.answered_by;
    if (request.user.empty())
        log_.info("auth: {}(?{}{}): {}", name, request.client.remote_ip.empty() ? "" : ",",
                  request.client.remote_ip, why);
    else
        log_.info("auth: {}{}: {}", name, request.log_name(), why);
}

} // namespace postern::auth_socket
