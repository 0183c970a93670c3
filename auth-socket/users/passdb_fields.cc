// What a password query's columns mean.
#include "auth-socket/users/passdb_fields.h"

#include "auth-socket/protocol.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace postern::auth_socket {

namespace {

// Names that steer the login and are not told to the client.
bool take_steering_field(std::string_view name, std::string const& value, PassdbRow& row, Outcome& outcome) {
    if (name == "nopassword")
        row.no_password = is_set(value) || value.empty();
    else if (name == "allow_nets")
        row.allow_nets = value;
    else if (name == "allow_real_nets")
        row.allow_real_nets = value;
    else if (name == "fail")
        row.fail = value;
    else if (name == "user_disabled")
        row.disabled = is_set(value);
    else if (name == "pass_expired")
        row.expired = is_set(value);
    else if (name == "nodelay")
        outcome.without_delay = true;
    else if (name == "noauthenticate")
        row.no_authentication = true;
    else if (name == "login_user")
        row.login_user = value;
    else if (name == "delay_until")
        row.delay_until = value;
    else
        return false;
    return true;
}

// These are told without their value; others when it is empty.
bool is_flag(std::string_view name) { return name == "nologin" || name == "proxy"; }

// passdb_import: fields in one, separated by tabs and escaped as on the wire.
Fields with_imports(Fields const& row) {
    Fields all;
    for (auto const& [name, value] : row) {
        if (name != "passdb_import") {
            all.set(name, value);
            continue;
        }
        for (auto const& field : line_fields(value.value_or(""))) {
            auto const [key, text] = halve(field, '=');
            if (!key.empty()) all.set(key, std::string(text.value_or("")));
        }
    }
    return all;
}

void take_userdb_field(std::string_view name, std::optional<std::string> const& value, Outcome& outcome) {
    outcome.userdb_prefetched = true;
    outcome.userdb.set(name, value);
}

using AddressOctets = std::array<unsigned char, 16>;

// IPv4 as ::ffff:a.b.c.d, so that both compare alike; size in bits of the family.
std::optional<std::pair<AddressOctets, unsigned>> address_octets(std::string const& text) {
    AddressOctets octets{};
    if (inet_pton(AF_INET6, text.c_str(), octets.data()) == 1) return std::pair{octets, 128U};
    in_addr four{};
    if (inet_pton(AF_INET, text.c_str(), &four) != 1) return std::nullopt;
    octets[10] = octets[11] = 0xff;
    std::memcpy(octets.data() + 12, &four, 4);
    return std::pair{octets, 32U};
}

bool same_prefix(AddressOctets const& a, AddressOctets const& b, unsigned bits) {
    for (std::size_t i = 0; i < a.size(); ++i, bits -= std::min(bits, 8U)) {
        auto const mask = static_cast<unsigned char>(bits >= 8 ? 0xff : 0xff00U >> bits);
        if ((a[i] & mask) != (b[i] & mask)) return false;
    }
    return true;
}

} // namespace

bool is_set(std::string_view value) {
    for (auto const* no : {"", "0", "n", "no", "f", "false"})
        if (equals_ignoring_case(value, no)) return false;
    return true;
}

std::optional<std::string> renamed(std::string_view user, std::string_view field, std::string_view value) {
    auto const at = user.find('@');
    if (field == "user") return std::string(value);
    if (field == "username") {
        if (value.contains('@') || at == std::string_view::npos) return std::string(value);
        return std::string(value) + std::string(user.substr(at));
    }
    if (field == "domain") return std::string(user.substr(0, at)) + "@" + std::string(value);
    return std::nullopt;
}

PassdbRow apply_passdb_row(Fields const& given, Request& request, Outcome& outcome, PassdbRow row) {
    auto const imports = given.has("passdb_import") ? std::optional(with_imports(given)) : std::nullopt;
    for (auto const& [full_name, value] : imports ? *imports : given) {
        auto const [name, suffix] = halve(full_name, ':');
        if (suffix == "remove") {
            outcome.reply.remove(name);
            continue;
        }
        auto const is_new = !outcome.reply.has(name) && !request.passdb.has(name);
        if (suffix == "protected" && !is_new) continue;
        if (name == "password" || name == "password_noscheme") {
            row.has_password_column = true;
            row.password_without_scheme = name == "password_noscheme";
            row.password = value;
            continue;
        }
        auto const text = value.value_or("");
        if (auto const new_name = renamed(request.user, name, text)) {
            if (!text.empty()) request.user = *new_name;
            continue;
        }
        request.passdb.set(name, text);
        if (name.starts_with("userdb_"))
            take_userdb_field(name.substr(7), value, outcome);
        else if (!take_steering_field(name, text, row, outcome))
            outcome.reply.set(name, is_flag(name) || text.empty() ? std::nullopt : std::optional(text));
    }
    outcome.user = request.user;
    return row;
}

Result<std::chrono::seconds> delay_left(std::string_view delay_until, std::int64_t now) {
    constexpr std::int64_t longest = 300; // Dovecot's limit
    auto const [until, random] = halve(delay_until, '+');
    auto const timestamp = parse_number<std::int64_t>(until);
    auto const spread = random ? parse_number<std::uint32_t>(*random) : std::optional(0U);
    if (!timestamp || !spread)
        return temporary("delay_until \"" + printable(delay_until, 40) +
                         "\" is not seconds since 1970[+seconds]");
    if (*timestamp <= now) return std::chrono::seconds(0);
    if (*timestamp - now > longest)
        return permanent("delay_until is more than " + std::to_string(longest) + " s away");
    std::uint32_t number = 0;
    auto const octets = random_octets(sizeof number);
    std::memcpy(&number, octets.data(), sizeof number);
    auto const more = *spread == 0 ? 0U : number % *spread;
    return std::chrono::seconds(std::min(*timestamp - now + more, longest));
}

bool is_in_networks(std::string_view address, std::string_view networks) {
    auto const mine = address_octets(std::string(address));
    for (auto const network : split_words(networks, ", \t")) {
        if (network == "local" && address.empty()) return true;
        auto const [base, size] = halve(network, '/');
        auto const theirs = address_octets(std::string(base));
        if (!mine || !theirs) continue;
        auto const bits = size ? parse_number<unsigned>(*size) : std::optional(theirs->second);
        if (!bits || *bits > theirs->second) continue;
        if (same_prefix(mine->first, theirs->first, *bits + 128 - theirs->second)) return true;
    }
    return false;
}

} // namespace postern::auth_socket
