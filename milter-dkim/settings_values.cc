// Reads them.
#include "milter-dkim/settings_values.h"

#include "common/base/text.h"

namespace postern::milter_dkim::values {

Result<> mode(Settings& settings, std::string_view value) {
    settings.signs = settings.verifies = false;
    for (char const c : value) {
        if (lower(c) == 's')
            settings.signs = true;
        else if (lower(c) == 'v')
            settings.verifies = true;
        else
            return permanent("expected s, v or sv");
    }
    return {};
}

Result<> canonicalization(Settings& settings, std::string_view value) {
    auto const parsed = parse_canonicalization(value);
    if (!parsed) return std::unexpected(parsed.error());
    settings.canonicalization = *parsed;
    return {};
}

Result<> signature_algorithm(Settings& settings, std::string_view value) {
    auto const name = to_lower(value);
    if (name == "rsa-sha1") return permanent("rsa-sha1 must not be used any more (RFC 8301)");
    if (name != "rsa-sha256" && name != "ed25519-sha256")
        return permanent("expected rsa-sha256 or ed25519-sha256");
    settings.signature_algorithm = name;
    return {};
}

Result<> umask_value(Settings& settings, std::string_view value) {
    auto const parsed = parse_number<unsigned>(value, 8);
    if (!parsed || *parsed > 0777) return permanent("expected an octal mask, 0 to 777");
    settings.umask = *parsed;
    return {};
}

Result<> dns_timeout(Settings& settings, std::string_view value) {
    auto const parsed = parse_number<int>(value);
    if (!parsed || *parsed < 0 || *parsed > 300) return permanent("expected seconds, 0 to 300");
    // Stock's 0 is "no limit"; a wait without end is none of ours.
    settings.dns_timeout = std::chrono::seconds(*parsed == 0 ? 300 : *parsed);
    return {};
}

// "50" octets, "50%", "50+".
Result<> minimum(Settings& settings, std::string_view value) {
    auto amount = value;
    MinimumCoverage read;
    if (value.ends_with('%')) read.kind = MinimumCoverage::Kind::percent;
    if (value.ends_with('+')) read.kind = MinimumCoverage::Kind::uncovered;
    if (read.kind != MinimumCoverage::Kind::octets) amount.remove_suffix(1);
    auto const parsed = parse_number<std::uint64_t>(amount);
    if (!parsed || (value.ends_with('%') && *parsed > 100))
        return permanent("expected a number, optionally with % (at most 100) or +");
    read.amount = *parsed;
    settings.minimum = read;
    return {};
}

// "10/1h": at most ten in an hour.
Result<> restart_rate(Settings& settings, std::string_view value) {
    auto const halves = halve(value, '/');
    auto const count = parse_number<int>(halves.before);
    if (!count || *count < 0) return permanent("expected N/TIME, as 10/1h");
    auto span = halves.after.value_or("1");
    std::int64_t unit = 1;
    if (!span.empty() && is_alpha(span.back())) {
        switch (lower(span.back())) {
        case 's': unit = 1; break;
        case 'm': unit = 60; break;
        case 'h': unit = 3600; break;
        case 'd': unit = 86400; break;
        default: return permanent("expected a time in s, m, h or d");
        }
        span.remove_suffix(1);
    }
    auto const amount = parse_number<std::int32_t>(span);
    if (!amount || *amount <= 0) return permanent("expected N/TIME, as 10/1h");
    settings.auto_restart_rate = {*count, std::chrono::seconds(*amount * unit)};
    return {};
}

Result<> on_default(Settings& settings, std::string_view value) {
    auto const parsed = parse_handling(value);
    if (!parsed) return std::unexpected(parsed.error());
    settings.on_bad_signature = settings.on_dns_error = settings.on_internal_error = *parsed;
    settings.on_key_not_found = settings.on_no_signature = settings.on_security = *parsed;
    settings.on_signature_error = *parsed;
    return {};
}

Result<> checked_switch(Settings&, std::string_view value) {
    auto const parsed = parse_switch(value);
    if (!parsed) return std::unexpected(parsed.error());
    return {};
}

} // namespace postern::milter_dkim::values
