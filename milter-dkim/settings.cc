// Values of opendkim.conf, and what must hold between them.
#include "milter-dkim/settings.h"

#include "common/base/log.h"
#include "common/base/text.h"
#include "common/config/words.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::milter_dkim {

namespace {

using config::Problem;

Result<CanonicalForm> parse_form(std::string_view value) {
    if (equals_ignoring_case(value, "simple")) return CanonicalForm::simple;
    if (equals_ignoring_case(value, "relaxed")) return CanonicalForm::relaxed;
    return permanent("expected simple or relaxed, not \"" + printable(value, 40) + "\"");
}

void check_signing(Settings const& settings, std::vector<Problem>& problems) {
    auto const error = [&](std::string_view name, std::string text) {
        problems.push_back({Problem::Severity::error, settings.place_of(name), std::move(text)});
    };
    auto const warning = [&](std::string_view name, std::string text) {
        problems.push_back({Problem::Severity::warning, settings.place_of(name), std::move(text)});
    };
    if (!settings.signing_table.empty() && settings.key_table.empty())
        error("SigningTable", "SigningTable needs a KeyTable");
    bool const has_script = !settings.setup_policy_script.empty();
    if (!settings.key_table.empty() && settings.signing_table.empty() && settings.key_file.empty() &&
        !has_script)
        warning("KeyTable", "KeyTable without SigningTable signs nothing");
    if (!settings.key_file.empty() && !settings.key_table.empty())
        warning("KeyFile", "KeyFile is not used for what the SigningTable signs; KeyTable has the keys");
    bool const has_domain = !settings.domain.empty();
    bool const has_key = !settings.key_file.empty();
    if (settings.signs && settings.key_table.empty() && has_domain && has_key && settings.selector.empty())
        error("KeyFile", "KeyFile needs a Selector");
    if (settings.signs && has_domain && !has_key && settings.key_table.empty() && !has_script)
        error("Domain", "Domain needs KeyFile and Selector, or KeyTable and SigningTable");
}

void check_all(Settings const& settings, std::vector<Problem>& problems) {
    check_signing(settings, problems);
    if (!is_log_facility(settings.syslog_facility))
        problems.push_back({Problem::Severity::error, settings.place_of("SyslogFacility"),
                            "SyslogFacility: unknown facility \"" + settings.syslog_facility + "\""});
}

} // namespace

Result<bool> parse_switch(std::string_view value) {
    switch (value.empty() ? '\0' : lower(value.front())) {
    case 't':
    case 'y':
    case '1': return true;
    case 'f':
    case 'n':
    case '0': return false;
    default: return permanent("expected yes or no, not \"" + printable(value, 40) + "\"");
    }
}

Result<Canonicalization> parse_canonicalization(std::string_view value) {
    auto const halves = halve(value, '/');
    auto const header = parse_form(trim(halves.before));
    if (!header) return std::unexpected(header.error());
    // RFC 6376 3.5: without "/" the body's form is simple.
    if (!halves.after) return Canonicalization{*header, CanonicalForm::simple};
    auto const body = parse_form(trim(*halves.after));
    if (!body) return std::unexpected(body.error());
    return Canonicalization{*header, *body};
}

Canonicalization changed_canonicalization(Canonicalization current, std::string_view value) {
    auto const halves = halve(value, '/');
    if (auto const header = parse_form(trim(halves.before))) current.header = *header;
    if (halves.after)
        if (auto const body = parse_form(trim(*halves.after))) current.body = *body;
    return current;
}

Result<Handling> parse_handling(std::string_view value) {
    switch (value.empty() ? '\0' : lower(value.front())) {
    case 'a': return Handling::accept;
    case 'd': return Handling::discard;
    case 'q': return Handling::quarantine;
    case 'r': return Handling::reject;
    case 't': return Handling::tempfail;
    default: return permanent("expected accept, discard, quarantine, reject or tempfail");
    }
}

config::Place Settings::place_of(std::string_view name) const {
    for (auto place = places.rbegin(); place != places.rend(); ++place)
        if (equals_ignoring_case(place->first, name)) return place->second;
    return {};
}

Loaded make_settings(std::vector<config::Assignment> assignments, std::vector<Problem> problems) {
    Loaded loaded{{}, std::move(problems)};
    std::ranges::stable_partition(assignments, [](config::Assignment const& each) {
        return equals_ignoring_case(each.name, "On-Default");
    });
    for (auto const& each : assignments) loaded.settings.places.emplace_back(each.name, each.place);
    auto found = settings_table().apply(loaded.settings, assignments);
    std::ranges::move(found, std::back_inserter(loaded.problems));
    check_all(loaded.settings, loaded.problems);
    return loaded;
}

Loaded read_settings(std::string const& path, std::vector<config::Assignment> const& command_line) {
    config::ReadResult read;
    if (!path.empty()) read = config::read_words(path);
    read.assignments.insert(read.assignments.end(), command_line.begin(), command_line.end());
    return make_settings(std::move(read.assignments), std::move(read.problems));
}

} // namespace postern::milter_dkim
