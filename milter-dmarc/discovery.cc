// Finds the policy record that governs an author domain, and organizational domains.
#include "milter-dmarc/discovery.h"

#include "common/mail/domain.h"

#include <algorithm>

namespace postern::milter_dmarc {

using mail::label_count;
using mail::last_labels;

std::string_view to_string(Method method) { return method == Method::psl ? "psl" : "treewalk"; }

std::vector<std::string> walk_names(std::string_view start) {
    std::vector<std::string> names{std::string(start)};
    auto const labels = label_count(start);
    for (auto count = labels > 8 ? 8 : labels; count > 1; --count)
        names.emplace_back(last_labels(start, count - 1));
    return names;
}

Result<std::optional<Record>> Discovery::record_at(std::string const& name) {
    if (auto const known = records_.find(name); known != records_.end()) return known->second;
    auto record = ask(name);
    if (record) records_.emplace(name, *record);
    return record;
}

// RFC 9989 4.10 steps 2 and 6: records of other programs do not count, and two of ours are none.
Result<std::optional<Record>> Discovery::ask(std::string const& name) {
    auto const question = "_dmarc." + name;
    if (!dns::is_askable(question)) return std::nullopt;
    asked_.push_back(name);
    auto const answer =
        resolver_.lookup(question, dns::RecordType::txt, deadline_.or_after(settings_.query_timeout));
    if (!answer) return temporary(question + " TXT: " + answer.error().text);
    std::optional<Record> found;
    for (auto const& each : answer->records) {
        auto record = parse_record(each.data);
        if (!record) continue;
        if (found) {
            notes_.push_back("several records at " + question + ", so none counts");
            return std::nullopt;
        }
        found = std::move(record);
    }
    return found;
}

bool Discovery::is_passed_over(std::string const& name, std::string const& start,
                               Record const& record) const {
    return settings_.pass_over_suffixes && name != start && record.psd == PublicSuffixFlag::unknown &&
           (label_count(name) == 1 || suffixes_.is_public_suffix(name));
}

Result<std::vector<Discovery::Met>> Discovery::walk(std::string const& start) {
    std::vector<Met> met;
    for (auto const& name : walk_names(start)) {
        auto record = record_at(name);
        if (!record) return std::unexpected(std::move(record.error()));
        if (!*record) continue;
        if (is_passed_over(name, start, **record)) {
            notes_.push_back("record without psd= at the public suffix " + name + " passed over");
            continue;
        }
        bool const last = (*record)->psd != PublicSuffixFlag::unknown;
        met.push_back({name, std::move(**record)});
        if (last) break;
    }
    return met;
}

Result<std::string> Discovery::organizational_domain(std::string const& name, Method method) {
    if (method == Method::psl) return suffixes_.organizational_domain(name);
    auto const met = walk(name);
    if (!met) return std::unexpected(met.error());
    for (auto const& [domain, record] : *met) {
        if (record.psd == PublicSuffixFlag::no) return domain;
        // One label below the suffix, also where the walk jumped over that name.
        if (record.psd == PublicSuffixFlag::yes && domain != name)
            return std::string(last_labels(name, label_count(domain) + 1));
    }
    return met->empty() ? name : met->back().domain;
}

// RFC 7489 6.6.3: the author's own record, else the one of its organizational domain.
Result<std::optional<FoundRecord>> Discovery::record_by_list(std::string const& author) {
    for (auto const& name : {author, suffixes_.organizational_domain(author)}) {
        auto record = record_at(name);
        if (!record) return std::unexpected(std::move(record.error()));
        if (*record) return FoundRecord{name, std::move(**record), Method::psl, notes_};
    }
    return std::nullopt;
}

// RFC 9989 4.10.1: the author's own record, else its organizational domain's, else the public suffix's above
// that.
Result<std::optional<FoundRecord>> Discovery::record_by_walk(std::string const& author) {
    auto own = record_at(author);
    if (!own) return std::unexpected(std::move(own.error()));
    if (*own) return FoundRecord{author, std::move(**own), Method::treewalk, notes_};
    // The organizational domain is found from the author, not from its parent: else a suffix right above
    // would hide.
    auto met = walk(author);
    if (!met) return std::unexpected(std::move(met.error()));
    auto const organization = organizational_domain(author, Method::treewalk);
    if (!organization) return std::unexpected(organization.error());
    for (auto& [domain, record] : *met)
        if (domain == *organization || record.psd == PublicSuffixFlag::yes)
            return FoundRecord{domain, std::move(record), Method::treewalk, notes_};
    return std::nullopt;
}

Result<std::optional<FoundRecord>> Discovery::record_for(std::string const& author) {
    if (settings_.mode == DiscoveryMode::psl) return record_by_list(author);
    if (settings_.mode == DiscoveryMode::automatic) {
        auto by_list = record_by_list(author);
        if (!by_list || (*by_list && (*by_list)->record.psd == PublicSuffixFlag::unknown)) return by_list;
    }
    return record_by_walk(author);
}

Result<bool> Discovery::exists(std::string const& name) {
    auto const answer =
        resolver_.lookup(name, dns::RecordType::a, deadline_.or_after(settings_.query_timeout));
    if (!answer) return temporary(name + " A: " + answer.error().text);
    return answer->kind != dns::DnsAnswer::Kind::no_such_name;
}

} // namespace postern::milter_dmarc
