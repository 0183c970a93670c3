// Reads and asks for _report._domainkey records.
#include "milter-dkim/report/report.h"

#include "common/base/text.h"
#include "milter-dkim/message/quoted_printable.h"
#include "milter-dkim/results/signature_numbers.h"
#include "milter-dkim/tables/txt_lookup.h"

#include <algorithm>
#include <array>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t max_local_part = 64; // RFC 5321 4.5.3.1.1
constexpr std::size_t max_smtp_text = 200;

// A dot-atom that no mail program takes for an option; a domain behind it does not count.
std::string local_part_of(std::string_view text) {
    auto const read = read_quoted_printable(text);
    if (!read) return {};
    auto const local = halve(*read, '@').before;
    static constexpr std::string_view others = "!#$%&'*+-/=?^_`{|}~.";
    bool const good = !local.empty() && local.size() <= max_local_part && local.front() != '-' &&
                      local.front() != '.' && local.back() != '.' && !local.contains("..") &&
                      std::ranges::all_of(local, [](char c) { return is_alnum(c) || others.contains(c); });
    return good ? std::string(local) : std::string();
}

std::string smtp_text_of(std::string_view text) {
    auto const read = read_quoted_printable(text);
    if (!read || read->size() > max_smtp_text || !std::ranges::all_of(*read, is_printable)) return {};
    return *read;
}

bool is_one_of(int error, std::initializer_list<int> errors) {
    return std::ranges::find(errors, error) != errors.end();
}

// What a letter of rr= stands for (RFC 6651 3.2), in libopendkim's errors.
bool covers(std::string_view letter, SignatureResult const& result) {
    if (letter == "all") return true;
    if (letter == "x") return result.error == signature_error_number("EXPIRED");
    if (letter == "v") return result.error == signature_error_number("BADSIG") || result.body_hash == 1;
    if (letter == "d")
        return is_one_of(result.error,
                         {signature_error_number("NOKEY"), signature_error_number("DNSSYNTAX"),
                          signature_error_number("KEYFAIL"), signature_error_number("KEYDECODE"),
                          signature_error_number("MULTIREPLY")});
    if (letter == "p") return result.kind == SignatureResult::Kind::policy;
    if (letter == "o")
        return is_one_of(result.error,
                         {signature_error_number("SUBDOMAIN"), signature_error_number("KEYVERSION"),
                          signature_error_number("KEYUNKNOWNHASH"), signature_error_number("KEYHASHMISMATCH"),
                          signature_error_number("NOTEMAILKEY"), signature_error_number("KEYTYPEMISSING"),
                          signature_error_number("KEYTYPEUNKNOWN"), signature_error_number("KEYREVOKED")});
    // What neither of them is and no key was fetched for: the signature itself.
    return letter == "s" && result.kind == SignatureResult::Kind::permerror && !covers("x", result) &&
           !covers("d", result) && !covers("o", result);
}

} // namespace

ReportingRecord ReportingRecord::parse(std::string_view text) {
    ReportingRecord record;
    auto const tags = TagList::parse(text);
    if (!tags) return record;
    if (auto const value = tags->find("ra")) record.local_part = local_part_of(*value);
    if (auto const value = tags->find("rs")) record.smtp_text = smtp_text_of(*value);
    if (auto const value = tags->find("rp"))
        record.percent = std::min(parse_number<unsigned>(*value).value_or(100), 100U);
    auto const requested = tags->find("rr") ? tags->find("rr") : tags->find("ro");
    for (auto const letter : split_words(requested.value_or(""), ": \t"))
        record.requested.push_back(to_lower(letter));
    return record;
}

bool ReportingRecord::wants(SignatureResult const& result) const {
    if (requested.empty()) return true;
    return std::ranges::any_of(requested, [&](auto const& letter) { return covers(letter, result); });
}

Result<std::optional<ReportingRecord>>
reporting_record(Configuration const& configuration, dns::Resolver& resolver, SignatureField const& field) {
    if (!field.error.empty() || field.tag("r") != "y") return std::nullopt;
    auto const records = txt_records(configuration, resolver, "_report._domainkey." + field.tag("d"));
    if (!records) return std::unexpected(records.error());
    if (records->size() != 1) return std::nullopt;
    return ReportingRecord::parse(records->front());
}

} // namespace postern::milter_dkim
