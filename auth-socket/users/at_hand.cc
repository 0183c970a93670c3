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

Passdb::AtHand rows_at_hand(Passdb const& database, Request const& request) {
    auto const& known = request.looked_up;
    if (!known || known->database != request.database) return database.at_hand(request);
    if (!known->rows) return {};
    return {std::shared_ptr<std::vector<Fields> const>(known, &*known->rows), !database.takes_notes()};
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

bool Authenticator::fits_quickly(ConfiguredPassdb const& passdb, PassdbRow const& row,
                                 std::string const& user, Request const& request,
                                 Secret const& password) const {
    if (row.password_without_scheme || row.password.value_or("").empty()) return false;
    auto const credential = read_stored_password(*row.password, default_scheme(passdb));
    auto const* scheme = credential ? find_scheme(credential->scheme) : nullptr;
    if (scheme == nullptr || scheme->slow) return false;
    hashing_.learn(user, *credential);
    return hashing_.verify(*credential, {password.reveal(), request.original_user}, "").value_or(false);
}

// The user's own name, of a login that is nobody else's too.
std::optional<std::string> Authenticator::plain_user(Request const& request,
                                                     std::string_view authorization) const {
    auto const separator = settings_.username.master_separator;
    auto const names_master = !separator.empty() && request.original_user.contains(separator[0]);
    if (!authorization.empty() || names_master) return std::nullopt;
    auto user = normalised_user(request.original_user, settings_.username, request);
    return user ? std::optional(std::move(*user)) : std::nullopt;
}

// The usual case only; a worker does what is not, from the beginning.
std::optional<Outcome> Authenticator::login_at_hand(Request& request, std::string_view authorization,
                                                    Secret const& password) const {
    auto user = plain_user(request, authorization);
    if (!user) return std::nullopt;
    request.user.swap(*user);
    auto outcome = known_at_hand(request, password);
    if (!outcome) request.user.swap(*user);
    return outcome;
}

std::optional<Outcome> Authenticator::known_at_hand(Request& request, Secret const& password) const {
    auto const* passdb = first_asked(request);
    if (passdb == nullptr || !is_plain(passdb->block)) return std::nullopt;
    request.database = number(*passdb);
    auto const [rows, is_noted] = rows_at_hand(*passdb->database, request);
    if (!rows || rows->size() != 1) return std::nullopt;
    auto const asked = is_noted ? std::optional<Request>() : request;
    auto const user = request.user; // a row changes this and what the passdbs said, and nothing else
    auto const said = request.passdb;
    Outcome outcome;
    auto const row = apply_passdb_row(rows->front(), request, outcome);
    if (!is_unconditional(row) || !fits_quickly(*passdb, row, user, request, password)) {
        request.user = user;
        request.passdb = said;
        return std::nullopt;
    }
    if (asked) passdb->database->note(*asked, true);
    request.answered_by = passdb->block.name;
    if (settings_.verbose) log_.info("auth: {}{}: login ok", request.answered_by, request.log_name());
    outcome.verdict = Verdict::ok;
    return outcome;
}

void const* Authenticator::asked_together(Request& request, std::string_view authorization) const {
    auto user = plain_user(request, authorization);
    if (!user) return nullptr;
    request.user = std::move(*user);
    auto const* passdb = first_asked(request);
    if (passdb == nullptr || !is_plain(passdb->block)) return nullptr;
    request.database = number(*passdb);
    return passdb->database->answers_together(request) ? passdb : nullptr;
}

namespace {

class Lookups final : public Passdb::Answers {
  public:
    Lookups(std::span<Request* const> requests, Authority::HeldUp const& held_up)
        : requests_(requests), held_up_(held_up) {}
    void answer(std::size_t which, Result<std::vector<Fields>> rows) override {
        auto& request = *requests_[which];
        request.looked_up = std::make_shared<LookedUp const>(request.database, std::move(rows));
    }
    void held_up(std::vector<std::size_t> which) override { held_up_(which); }

  private:
    std::span<Request* const> requests_;
    Authority::HeldUp const& held_up_;
};

} // namespace

void Authenticator::look_up(std::span<Request* const> requests, HeldUp const& held_up) const {
    if (requests.empty()) return;
    auto const& passdb = passdbs_.at(requests.front()->database - 1);
    Lookups answers(requests, held_up);
    std::vector<Request const*> const asked(requests.begin(), requests.end());
    passdb.database->lookup_all(asked, answers);
}

} // namespace postern::auth_socket
