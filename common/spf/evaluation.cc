// check_host(), step by step.
#include "common/spf/evaluation.h"

#include "common/base/text.h"
#include "common/spf/trace.h"

#include <algorithm>
#include <utility>

namespace postern::spf {

namespace {

constexpr std::size_t max_mx = 10; // RFC 7208 4.6.4: more are an error

Verdict verdict_of(Qualifier qualifier) {
    switch (qualifier) {
    case Qualifier::pass: return Verdict::pass;
    case Qualifier::fail: return Verdict::fail;
    case Qualifier::softfail: return Verdict::softfail;
    case Qualifier::neutral: return Verdict::neutral;
    }
    return Verdict::neutral;
}

bool is_below_or_same(std::string_view name, std::string_view domain) {
    if (equals_ignoring_case(name, domain)) return true;
    return name.size() > domain.size() && name[name.size() - domain.size() - 1] == '.' &&
           ends_with_ignoring_case(name, domain);
}

// RFC 7208 4.3: malformed, a literal or a single label gives none at once.
bool is_checkable(std::string_view domain) {
    return dns::is_askable(domain) && domain.contains('.') && !domain.starts_with('[');
}

// What a stranger says, fit for a reply and a header field: one line of printable ASCII.
std::string shown(std::string_view text) { return printable(text, Outcome::max_explanation); }

} // namespace

Evaluation::Evaluation(dns::Resolver& resolver, Engine const& engine, Query const& query,
                       CheckLimits const& limits, Trace const& trace)
    : resolver_(resolver), engine_(engine), query_(query), limits_(limits), trace_(trace),
      client_(query.client.unmapped()), sender_(split_sender(query.sender, query.helo)),
      deadline_(Deadline::after(limits.time)) {}

Outcome Evaluation::run() {
    if (!is_checkable(sender_.domain)) {
        tell(0, "{} is no domain that can have a record: none", shown(sender_.domain));
        return outcome_;
    }
    auto const verdict = check_domain(sender_.domain, 0);
    if (verdict) {
        outcome_.verdict = *verdict;
        outcome_.explanation = explanation(*verdict);
    } else {
        bool const temporary = verdict.error().kind != ErrorKind::permanent;
        outcome_.verdict = temporary ? Verdict::temperror : Verdict::permerror;
        outcome_.explanation =
            shown((temporary ? "SPF Temporary Error: DNS " : "SPF Permanent Error: ") + verdict.error().text);
    }
    return outcome_;
}

Result<Verdict> Evaluation::check_domain(std::string domain, unsigned level) {
    for (bool redirected = false;; redirected = true) {
        auto fetched = fetch_record(domain, level);
        if (!fetched) {
            if (fetched.error().kind == ErrorKind::permanent) tell_of_end(level, domain, fetched.error());
            return std::unexpected(std::move(fetched.error()));
        }
        if (!*fetched) {
            if (redirected) return permanent("redirect domain has no SPF record: " + domain);
            return Verdict::none;
        }
        Frame const frame{std::move(domain), std::move(**fetched), level};
        if (level == 0) explaining_ = Frame{frame.domain, Record{{}, {}, frame.record.exp}, 0};
        auto decided = walk(frame);
        if (!decided) return std::unexpected(std::move(decided.error()));
        if (*decided) return **decided;
        if (!frame.record.redirect) {
            tell(level + 1, "no term matches: neutral");
            return Verdict::neutral;
        }
        if (auto counted = count_lookup(); !counted) return std::unexpected(std::move(counted.error()));
        domain =
            frame.record.redirect->expand_domain([&](char letter) { return macro_value(frame, letter); });
        tell(level + 1, "redirect={} ({} of {} lookups)", domain, outcome_.lookups, limits_.lookups);
    }
}

Result<std::optional<Record>> Evaluation::fetch_record(std::string const& domain, unsigned level) {
    auto const answers = ask(domain, dns::RecordType::txt, level); // without a record the result says so
    if (!answers) return std::unexpected(answers.error());
    std::string const* found = nullptr;
    for (auto const& answer : *answers) {
        if (!is_spf_record(answer.data)) continue;
        if (found != nullptr) return permanent("Two or more type TXT spf records found.");
        found = &answer.data;
    }
    if (found == nullptr) {
        tell(level, "{} has no SPF record", domain);
        return std::nullopt;
    }
    tell(level, "{}: \"{}\" ({} octets)", domain, *found, found->size());
    outcome_.longest_record = std::max(outcome_.longest_record, found->size());
    auto parsed = parse_record(*found);
    if (!parsed) return std::unexpected(std::move(parsed.error()));
    return std::optional(std::move(*parsed));
}

Result<std::optional<Verdict>> Evaluation::walk(Frame const& frame) {
    auto const& terms = frame.record.terms;
    Term const* matched = nullptr; // of those that ask the DNS
    std::size_t told = 0;          // terms before it have been told of
    auto const matcher = [&](Term const& term) {
        auto const place = static_cast<std::size_t>(&term - terms.data());
        tell_of_networks(frame, std::exchange(told, place + 1), place);
        auto answer = matches(frame, term);
        if (answer && *answer) matched = &term;
        return answer;
    };
    auto const decided = engine_.walk(terms, client_, matcher);
    if (!decided) return std::unexpected(decided.error());
    auto const place = !trace_ ? 0 : *decided ? deciding_term(frame, matched) : terms.size();
    tell_of_networks(frame, told, place);
    if (!*decided) return std::nullopt;
    auto const verdict = verdict_of(**decided);
    if (trace_) tell(frame.level + 1, "{} decides: {}", terms[place].text, to_string(verdict));
    return verdict;
}

// The engine gives the qualifier only: the term is the DNS's that matched, or the first of the others.
std::size_t Evaluation::deciding_term(Frame const& frame, Term const* matched) const {
    auto const& terms = frame.record.terms;
    auto const found = std::ranges::find_if(terms, [&](Term const& term) {
        bool const listed =
            term.network && client_.in_network(*term.network, client_.is_v4() ? term.prefix4 : term.prefix6);
        return &term == matched || listed || term.mechanism == Mechanism::all;
    });
    return static_cast<std::size_t>(std::min(found, terms.end() - 1) - terms.begin());
}

void Evaluation::tell_of_networks(Frame const& frame, std::size_t from, std::size_t to) {
    if (!trace_ || from >= to) return;
    for (auto const& line : shown_networks(std::span(frame.record.terms).subspan(from, to - from)))
        tell(frame.level + 1, "{}", line);
}

void Evaluation::tell_of_end(unsigned level, std::string_view where, Error const& error) {
    if (!std::exchange(end_is_told_, true)) tell(level, "{}: {}; this ends the check", where, error.text);
}

Result<bool> Evaluation::matches(Frame const& frame, Term const& term) {
    auto matched = decide(frame, term);
    if (matched)
        tell(frame.level + 1, "{}: {}", term.text, *matched ? "matches" : "does not match");
    else
        tell_of_end(frame.level + 1, term.text, matched.error());
    return matched;
}

Result<bool> Evaluation::decide(Frame const& frame, Term const& term) {
    if (auto counted = count_lookup(); !counted) return std::unexpected(std::move(counted.error()));
    auto const level = frame.level + 1;
    tell(level, "{} ({} of {} lookups)", term.text, outcome_.lookups, limits_.lookups);
    switch (term.mechanism) {
    case Mechanism::include: return matches_include(frame, term);
    case Mechanism::a:
        return matches_addresses(target(frame, term), term.domain.has_macro(), term, level + 1);
    case Mechanism::mx: return matches_mx(frame, term);
    case Mechanism::ptr: return matches_ptr(frame, term);
    case Mechanism::exists: return matches_exists(frame, term);
    case Mechanism::all:
    case Mechanism::ip4:
    case Mechanism::ip6: break; // the engine's
    }
    return false;
}

// RFC 7208 5.2
Result<bool> Evaluation::matches_include(Frame const& frame, Term const& term) {
    auto const domain = target(frame, term);
    if (equals_ignoring_case(domain, frame.domain)) // it could only end at the lookup limit
        return permanent("include has trivial recursion: " + term.text);
    auto const verdict = check_domain(domain, frame.level + 2);
    if (!verdict) return std::unexpected(verdict.error());
    if (*verdict == Verdict::none)
        return permanent(fmt::format("No valid SPF record for included domain: {}: {}", domain, term.text));
    return *verdict == Verdict::pass;
}

Result<bool> Evaluation::matches_addresses(std::string const& name, bool by_macro, Term const& term,
                                           unsigned level) {
    auto const answers = lookup(name, by_macro, address_type(), level);
    if (!answers) return std::unexpected(answers.error());
    auto const prefix = client_.is_v4() ? term.prefix4 : term.prefix6;
    return std::ranges::any_of(*answers, [&](dns::DnsRecord const& record) {
        return client_.in_network(IpAddress::from_octets(record.data), prefix);
    });
}

// RFC 7208 5.4
Result<bool> Evaluation::matches_mx(Frame const& frame, Term const& term) {
    auto answers = lookup(target(frame, term), term.domain.has_macro(), dns::RecordType::mx, frame.level + 2);
    if (!answers) return std::unexpected(std::move(answers.error()));
    if (answers->size() > max_mx) return permanent(fmt::format("More than {} MX records returned", max_mx));
    std::ranges::sort(*answers, {}, &dns::DnsRecord::preference);
    for (auto const& exchange : *answers) {
        auto const matched = matches_addresses(exchange.data, false, term, frame.level + 2);
        if (!matched || *matched) return matched;
    }
    return false;
}

// RFC 7208 5.7: always A, whatever the client's family.
Result<bool> Evaluation::matches_exists(Frame const& frame, Term const& term) {
    auto const answers =
        lookup(target(frame, term), term.domain.has_macro(), dns::RecordType::a, frame.level + 2);
    if (!answers) return std::unexpected(answers.error());
    return !answers->empty();
}

// RFC 7208 5.5: what cannot be found out does not match.
Result<bool> Evaluation::matches_ptr(Frame const& frame, Term const& term) {
    auto const domain = target(frame, term);
    return std::ranges::any_of(validated_names(frame.level + 2),
                               [&](std::string const& name) { return is_below_or_same(name, domain); });
}

Result<> Evaluation::count_lookup() {
    if (outcome_.lookups >= limits_.lookups) return permanent("Too many DNS lookups");
    ++outcome_.lookups;
    return {};
}

std::string Evaluation::target(Frame const& frame, Term const& term) {
    if (term.domain.empty()) return frame.domain;
    return term.domain.expand_domain([&](char letter) { return macro_value(frame, letter); });
}

std::string Evaluation::macro_value(Frame const& frame, char letter) {
    switch (letter) {
    case 's': return sender_.local_part + "@" + sender_.domain;
    case 'l': return sender_.local_part;
    case 'o': return sender_.domain;
    case 'd': return frame.domain;
    case 'i': return client_.dotted();
    case 'p': return client_name(frame);
    case 'v': return client_.is_v4() ? "in-addr" : "ip6";
    case 'h': return query_.helo;
    case 'c': return client_.to_string();
    case 'r': return query_.receiver;
    case 't': return std::to_string(unix_time());
    default: return {};
    }
}

// RFC 7208 7.3: the domain itself, else a name below it, else any; "unknown" when there is none.
std::string Evaluation::client_name(Frame const& frame) {
    auto const& names = validated_names(frame.level + 2);
    if (names.empty()) return "unknown";
    for (auto const& name : names)
        if (equals_ignoring_case(name, frame.domain)) return name;
    for (auto const& name : names)
        if (is_below_or_same(name, frame.domain)) return name;
    return names.front();
}

std::string Evaluation::explanation(Verdict verdict) {
    switch (verdict) {
    case Verdict::none: return {};
    case Verdict::pass: return "sender SPF authorized";
    case Verdict::neutral: return "access neither permitted nor denied";
    case Verdict::fail: return own_words().value_or("SPF fail - not authorized");
    case Verdict::softfail: return own_words().value_or("domain owner discourages use of this host");
    case Verdict::temperror:
    case Verdict::permerror: break;
    }
    return {};
}

// RFC 7208 6.2: whatever is wrong with the exp= text, the result stands and we find our own words.
std::optional<std::string> Evaluation::own_words() {
    if (!explaining_ || !explaining_->record.exp) return std::nullopt;
    auto const value = [&](char letter) { return macro_value(*explaining_, letter); };
    auto const answers = ask_and_tell(explaining_->record.exp->expand_domain(value), dns::RecordType::txt, 1);
    if (!answers || answers->size() != 1) return std::nullopt;
    auto const text = MacroString::parse(answers->front().data, MacroString::Place::explanation);
    if (!text || text->empty()) return std::nullopt;
    return shown(text->expand(value));
}

} // namespace postern::spf
