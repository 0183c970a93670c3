// Userdb lookups and the list of all users: the other half of Authenticator.
#include "auth-socket/users/authenticator.h"

#include "auth-socket/users/chain.h"
#include "auth-socket/users/ids.h"
#include "auth-socket/users/modifiers.h"
#include "auth-socket/users/remarks.h"
#include "common/base/text.h"

#include <vector>

namespace postern::auth_socket {

namespace {

// Renames, numbers for uid and gid; what is left goes to the client as it is, behind what is there already.
Result<Fields> understood(Fields const& raw, Request& request, Fields fields) {
    for (auto const& [full_name, value] : raw) {
        auto const [name, suffix] = halve(full_name, ':');
        if (suffix == "remove") {
            fields.remove(name);
            continue;
        }
        if (suffix == "protected" && fields.has(name)) continue;
        auto text = value;
        if (auto const new_name = renamed(request.user, name, value.value_or(""))) {
            if (value && !value->empty()) request.user = *new_name;
            continue;
        }
        if (name == "uid") text = uid_number(value.value_or(""));
        if (name == "gid") text = gid_number(value.value_or(""));
        if ((name == "uid" || name == "gid") && !text)
            return temporary("unknown " + std::string(name) + " \"" + printable(value.value_or("")) + "\"");
        fields.set(name, text == "" ? std::nullopt : text);
    }
    return fields;
}

Result<Fields> with_defaults(DatabaseBlock const& block, Fields const& found, Request& request) {
    auto given = expanded(block.default_fields, request);
    if (!given) return given;
    if (block.imports_all) given->merge(found);
    auto fields = understood(*given, request, {});
    if (!fields || block.override_fields.empty()) return fields;
    auto asking = request;
    asking.userdb.merge(*fields);
    auto const later = overrides(block, found, asking);
    if (!later) return later;
    return understood(*later, request, std::move(*fields));
}

} // namespace

// Of a user whom only the passdbs can know: ok, unknown_user or temporary. It may be renamed by them.
Verdict Authenticator::existence(Request& request) const {
    auto asking = request;
    asking.remarks = std::make_shared<Remarks>(); // nobody logs in: nothing to be told
    auto const is_there = [](auto const&, PassdbRow const& row, auto const&, auto&) {
        return row.disabled || row.expired || row.fail ? Verdict::user_disabled : Verdict::ok;
    };
    auto const verdict = asked_in_order(asking, false, {.judge = is_there, .lets_in = false}).verdict;
    if (verdict == Verdict::ok) {
        asking.remarks = nullptr;
        request = std::move(asking);
    }
    if (verdict == Verdict::ok || verdict == Verdict::temporary) return verdict;
    if (verdict != Verdict::unknown_user) return Verdict::unknown_user; // disabled
    auto const* blind = passdb_that_asks_for_passwords(request);
    if (blind == nullptr) return Verdict::unknown_user;
    log_.error("auth: static{}: passdb {} cannot tell whether a user exists; where all do, say "
               "allow_all_users=yes in "
               "userdb static",
               request.log_name(), blind->block.name);
    return Verdict::temporary;
}

// PAM and tokens: who is not found elsewhere may be known to them.
ConfiguredPassdb const* Authenticator::passdb_that_asks_for_passwords(Request const& request) const {
    for (auto const& passdb : passdbs_)
        if (!passdb.database->knows_users() && !passdb.block.master &&
            !is_skipped(passdb.block, request, false))
            return &passdb;
    return nullptr;
}

Verdict Authenticator::ask_userdb(ConfiguredUserdb const& userdb, Outcome const* login, Request& request,
                                  UserOutcome& outcome) const {
    auto const found = userdb.database->lookup_after(login, request);
    auto attempt = request;
    auto fields = found && *found ? with_defaults(userdb.block, **found, attempt) : Result<Fields>();
    if (!found || !fields) {
        log_.error("auth: {}{}: {}", userdb.block.name, request.log_name(),
                   (found ? fields.error() : found.error()).text);
        return Verdict::temporary;
    }
    if (!*found) return Verdict::unknown_user;
    if (fields->has("tempfail")) return Verdict::temporary;
    request = std::move(attempt);
    outcome.fields.merge(*fields);
    request.userdb = outcome.fields;
    return Verdict::ok;
}

UserOutcome Authenticator::find_user(Request& request, Outcome const* login) const {
    UserOutcome outcome{.verdict = UserVerdict::not_found, .user = {}, .fields = {}, .reason = {}};
    if (login == nullptr) {
        auto user = normalised_user(request.original_user, settings_.username, request);
        if (!user) {
            request.user = request.original_user;
            request.name_refused = true;
            log_.info("auth: userdb{}: {}", request.log_name(), user.error().text);
            return outcome;
        }
        request.user = *user;
    }
    ChainState state;
    for (auto const& userdb : userdbs_) {
        if (is_skipped(userdb.block, request, state.success)) continue;
        request.database = static_cast<std::uint32_t>(&userdb - userdbs_.data()) + 1;
        auto const exists = login != nullptr || state.success || !userdb.database->needs_passdb();
        auto verdict = exists ? Verdict::ok : existence(request);
        if (verdict == Verdict::ok) verdict = ask_userdb(userdb, login, request, outcome);
        if (!state.goes_on(userdb.block, verdict)) break;
    }
    outcome.user = request.user;
    switch (state.verdict()) {
    case Verdict::ok: outcome.verdict = UserVerdict::found; break;
    case Verdict::temporary: outcome.verdict = UserVerdict::temporary; break;
    default: outcome.verdict = UserVerdict::not_found; break;
    }
    return outcome;
}

Result<> Authenticator::list_users(Request const&, std::string_view mask,
                                   std::function<void(std::string_view)> const& each) const {
    auto const pattern = mask.empty() ? std::string("*") : to_lower(mask);
    bool any = false;
    for (auto const& userdb : userdbs_) {
        auto listed = userdb.database->list([&](std::string_view user) {
            if (matches_wildcard(to_lower(user), pattern)) each(user);
        });
        if (!listed) {
            log_.error("auth: {}: listing the users: {}", userdb.block.name, listed.error().text);
            return std::unexpected(std::move(listed.error()));
        }
        any |= *listed;
    }
    if (any) return {};
    log_.error("auth: listing the users: no userdb has a list (iterate_query is not set)");
    return permanent("no userdb has a list");
}

} // namespace postern::auth_socket
