// The grammar of SPF records.
#include "common/spf/record.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace postern::spf {

namespace {

constexpr std::string_view version = "v=spf1";

constexpr std::array<std::pair<std::string_view, Mechanism>, 8> mechanisms = {
    {{"all", Mechanism::all},
     {"include", Mechanism::include},
     {"a", Mechanism::a},
     {"mx", Mechanism::mx},
     {"ptr", Mechanism::ptr},
     {"ip4", Mechanism::ip4},
     {"ip6", Mechanism::ip6},
     {"exists", Mechanism::exists}}};

std::optional<Mechanism> mechanism_named(std::string_view name) {
    for (auto const& [known, mechanism] : mechanisms)
        if (equals_ignoring_case(known, name)) return mechanism;
    return std::nullopt;
}

std::optional<Qualifier> qualifier_of(char sign) {
    for (auto const qualifier : {Qualifier::pass, Qualifier::fail, Qualifier::softfail, Qualifier::neutral})
        if (qualifier_sign(qualifier) == sign) return qualifier;
    return std::nullopt;
}

std::unexpected<Error> wrong(std::string_view what, std::string_view where) {
    return permanent(fmt::format("{}: {}", what, where));
}

// Takes "/24" (or "//64") off the end; a number with a leading zero is no prefix and stays where it is.
std::optional<unsigned> take_prefix(std::string_view& text, std::string_view slashes) {
    auto const digits = text.find_last_not_of("0123456789") + 1; // npos + 1 is 0
    auto const number = text.substr(digits);
    if (number.empty() || (number.size() > 1 && number.front() == '0')) return std::nullopt;
    if (!text.substr(0, digits).ends_with(slashes)) return std::nullopt;
    text = text.substr(0, digits - slashes.size());
    constexpr unsigned too_long = 1000;
    return number.size() > 3 ? too_long : parse_number<unsigned>(number).value_or(too_long);
}

// "name[:argument][/prefix4][//prefix6]", cut but not yet understood.
struct Parts {
    std::string_view name;
    std::optional<std::string_view> argument;
    std::optional<unsigned> prefix4;
    std::optional<unsigned> prefix6;
};

Parts cut(std::string_view text) {
    Parts parts;
    parts.prefix6 = take_prefix(text, "//");
    parts.prefix4 = take_prefix(text, "/");
    auto const [name, argument] = halve(text, ':');
    parts.name = name;
    parts.argument = argument;
    return parts;
}

Result<> set_prefixes(Term& term, Parts const& parts) {
    bool const v4 = term.mechanism != Mechanism::ip6;
    bool const both = term.mechanism == Mechanism::a || term.mechanism == Mechanism::mx;
    if (!both && parts.prefix6) return wrong("Dual CIDR not allowed", term.text);
    if (v4) term.prefix4 = parts.prefix4.value_or(32);
    if (both) term.prefix6 = parts.prefix6.value_or(128);
    if (!v4) term.prefix6 = parts.prefix4.value_or(128);
    if (term.prefix4 > 32) return wrong("Invalid IP4 CIDR length", term.text);
    if (term.prefix6 > 128) return wrong("Invalid IP6 CIDR length", term.text);
    return {};
}

Result<> set_network(Term& term, Parts const& parts) {
    bool const v4 = term.mechanism == Mechanism::ip4;
    if (auto done = set_prefixes(term, parts); !done) return done;
    term.network = IpAddress::parse(parts.argument.value_or(""));
    if (!term.network || term.network->is_v4() != v4)
        return wrong(v4 ? "Invalid IP4 address" : "Invalid IP6 address", term.text);
    return {};
}

Result<> set_domain(Term& term, Parts const& parts) {
    bool const may_be_absent =
        term.mechanism == Mechanism::a || term.mechanism == Mechanism::mx || term.mechanism == Mechanism::ptr;
    if (!parts.argument) {
        if (may_be_absent) return {};
        return wrong(term.mechanism == Mechanism::include ? "include mechanism missing domain"
                                                          : "implicit exists not allowed",
                     term.text);
    }
    if (parts.argument->empty()) return wrong("empty domain:", term.text);
    if (term.mechanism == Mechanism::a)
        if (auto const address = IpAddress::parse(*parts.argument); address && address->is_v4())
            return wrong("Use the ip4 mechanism for ip4 addresses", term.text);
    auto domain = MacroString::parse_domain_spec(*parts.argument);
    if (!domain) return std::unexpected(std::move(domain.error()));
    term.domain = std::move(*domain);
    return {};
}

Result<> fill(Term& term, Parts const& parts) {
    switch (term.mechanism) {
    case Mechanism::all:
        if (parts.argument)
            return wrong("Invalid all mechanism format - only qualifier allowed with all", term.text);
        if (parts.prefix4 || parts.prefix6) return wrong("CIDR not allowed", term.text);
        return {};
    case Mechanism::ip4:
    case Mechanism::ip6: return set_network(term, parts);
    case Mechanism::a:
    case Mechanism::mx:
        if (auto done = set_prefixes(term, parts); !done) return done;
        return set_domain(term, parts);
    case Mechanism::include:
    case Mechanism::ptr:
    case Mechanism::exists:
        if (parts.prefix4 || parts.prefix6) return wrong("CIDR not allowed", term.text);
        return set_domain(term, parts);
    }
    return {};
}

Result<Term> parse_term(std::string_view text) {
    Term term;
    term.text = text;
    if (text.ends_with(',')) return wrong("Do not separate mechnisms with commas", text);
    auto rest = text;
    if (auto const qualifier = qualifier_of(rest.front())) {
        term.qualifier = *qualifier;
        rest.remove_prefix(1);
    }
    auto const parts = cut(rest);
    auto const mechanism = mechanism_named(parts.name);
    if (!mechanism) {
        bool const sign = parts.name.size() > 1 && mechanism_named(parts.name.substr(1));
        return wrong(sign ? "Unknown qualifier, RFC 4408 para 4.6.1, found in" : "Unknown mechanism found",
                     text);
    }
    term.mechanism = *mechanism;
    if (auto done = fill(term, parts); !done) return std::unexpected(std::move(done.error()));
    return term;
}

// name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ), then "="
std::optional<std::string_view> modifier_name(std::string_view text) {
    auto const [name, value] = halve(text, '=');
    if (!value || name.empty() || !is_alpha(name.front())) return std::nullopt;
    bool const good =
        std::ranges::all_of(name, [](char c) { return is_alnum(c) || c == '-' || c == '_' || c == '.'; });
    return good ? std::optional(name) : std::nullopt;
}

Result<> set_once(std::optional<MacroString>& where, std::string_view name, std::string_view value,
                  std::string_view text) {
    if (where) return wrong(fmt::format("{}= MUST appear at most once", name), text);
    if (value.empty())
        return permanent(fmt::format("{} has empty domain{}:", name, name == "exp" ? "-spec" : ""));
    auto domain = MacroString::parse_domain_spec(value);
    if (!domain) return std::unexpected(std::move(domain.error()));
    where = std::move(*domain);
    return {};
}

Result<> add_modifier(Record& record, std::string_view name, std::string_view text) {
    auto const value = text.substr(name.size() + 1);
    if (equals_ignoring_case(name, "redirect")) return set_once(record.redirect, "redirect", value, text);
    if (equals_ignoring_case(name, "exp")) return set_once(record.exp, "exp", value, text);
    auto const checked = MacroString::parse(value, MacroString::Place::domain); // unknown ones are ignored
    return checked ? Result<>() : std::unexpected(checked.error());
}

} // namespace

bool Record::has_all() const {
    return std::ranges::any_of(terms, [](Term const& term) { return term.mechanism == Mechanism::all; });
}

bool is_spf_record(std::string_view txt) {
    return starts_with_ignoring_case(txt, version) &&
           (txt.size() == version.size() || txt[version.size()] == ' ');
}

Result<Record> parse_record(std::string_view text) {
    for (char const c : text)
        if (static_cast<unsigned char>(c) >= 0x80)
            return permanent(fmt::format("Non-ascii characters found: b'{}'", printable(text)));
    Record record;
    auto const terms = split(text, ' ');
    for (std::size_t i = 1; i < terms.size(); ++i) { // the first is the version
        if (terms[i].empty()) continue;
        if (auto const name = modifier_name(terms[i])) {
            if (auto done = add_modifier(record, *name, terms[i]); !done)
                return std::unexpected(std::move(done.error()));
            continue;
        }
        auto term = parse_term(terms[i]);
        if (!term) return std::unexpected(std::move(term.error()));
        record.terms.push_back(std::move(*term));
    }
    return record;
}

char qualifier_sign(Qualifier qualifier) {
    switch (qualifier) {
    case Qualifier::pass: return '+';
    case Qualifier::fail: return '-';
    case Qualifier::softfail: return '~';
    case Qualifier::neutral: return '?';
    }
    return '+';
}

} // namespace postern::spf
