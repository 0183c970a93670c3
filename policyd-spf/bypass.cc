// Skip lists and whitelists.
#include "policyd-spf/bypass.h"

#include "common/base/text.h"

#include <algorithm>

namespace postern::policyd_spf {

namespace {

bool is_in_or_below(std::string_view name, std::string_view domain) {
    if (domain.starts_with('.')) domain.remove_prefix(1);
    if (equals_ignoring_case(name, domain)) return true;
    return name.size() > domain.size() && name[name.size() - domain.size() - 1] == '.' &&
           ends_with_ignoring_case(name, domain);
}

} // namespace

Bypass::Words Bypass::words_of(List list) {
    switch (list) {
    case List::skip_addresses:
        return {"SPF check N/A for local connections - ", "Skip SPF checks on localhost",
                "skip_addresses enabled.", "skip_addresses check used peruser data"};
    case List::whitelist:
        return {"SPF skipped for whitelisted relay - ", "Skip SPF checks for whitelisted IP addresses",
                "Whitelist enabled.", "Whitelist check used peruser data"};
    case List::domain_whitelist:
        return {"SPF skipped for whitelisted relay domain - ", "Skip SPF checks for whitelisted domains",
                "Domain Whitelist enabled.", "Domain_Whitelist check used peruser data"};
    case List::helo_whitelist:
        return {"SPF skipped for whitelisted HELO domain - ",
                "Skip SPF checks for whitelisted HELO/EHLO names", "HELO Domain Whitelist enabled.",
                "HELO_Whitelist check used peruser data"};
    case List::domain_whitelist_ptr:
        return {"SPF skipped for PTR whitelisted relay domain - ",
                "Skip SPF checks for whitelisted hosts (by PTR)", "PTR Domain Whitelist enabled.", ""};
    }
    return {};
}

bool Bypass::is_set(List list) const {
    switch (list) {
    case List::skip_addresses: return !settings_.skip_addresses.empty();
    case List::whitelist: return !settings_.whitelist.empty();
    case List::domain_whitelist: return !settings_.domain_whitelist.empty();
    case List::helo_whitelist: return !settings_.helo_whitelist.empty();
    case List::domain_whitelist_ptr: return !settings_.domain_whitelist_ptr.empty();
    }
    return false;
}

bool Bypass::holds(List list, spf::IpAddress const& client, std::string_view helo, Deadline deadline) const {
    switch (list) {
    case List::skip_addresses: return settings_.skip_addresses.contains(client);
    case List::whitelist: return settings_.whitelist.contains(client);
    case List::domain_whitelist: return is_of_whitelisted_domain(client, deadline);
    case List::helo_whitelist: return has_whitelisted_helo(client, helo, deadline);
    case List::domain_whitelist_ptr: return has_whitelisted_name(client, deadline);
    }
    return false;
}

Deadline Bypass::whitelist_deadline(Deadline deadline) const {
    return deadline.or_after(settings_.whitelist_lookup_time);
}

bool Bypass::is_of_whitelisted_domain(spf::IpAddress const& client, Deadline deadline) const {
    auto const until = whitelist_deadline(deadline);
    return std::ranges::any_of(settings_.domain_whitelist, [&](std::string const& domain) {
        spf::CheckLimits const limits{.void_lookups = settings_.void_limit, .time = until.remaining()};
        return checker_.check({client, domain, domain}, limits).verdict == spf::Verdict::pass;
    });
}

bool Bypass::has_whitelisted_helo(spf::IpAddress const& client, std::string_view helo,
                                  Deadline deadline) const {
    return std::ranges::any_of(settings_.helo_whitelist, [&](std::string const& name) {
        if (!equals_ignoring_case(name, helo)) return false;
        if (settings_.debug_level >= 5) {
            log_.info("HELO Domain Whitelist domain match: {}.", printable(name));
            log_.info("HELO Domain Whitelist domain: {} is {}: {}.", printable(name),
                      client.is_v4() ? "IPv4" : "IPv6", client.to_string());
        }
        return has_address(name, client, whitelist_deadline(deadline));
    });
}

// Unlike stock: the name has to lead back to the client and to end at a dot, or whoever holds the reverse
// zone would choose what is not checked.
bool Bypass::has_whitelisted_name(spf::IpAddress const& client, Deadline deadline) const {
    if (settings_.domain_whitelist_ptr.empty()) return false;
    auto const until = whitelist_deadline(deadline);
    auto const names =
        resolver_.lookup(dns::reverse_name(client.unmapped().octets()), dns::RecordType::ptr, until);
    if (!names) return false;
    constexpr std::size_t max_names = 10; // RFC 7208 4.6.4
    auto const end =
        names->records.begin() + static_cast<std::ptrdiff_t>(std::min(names->records.size(), max_names));
    return std::any_of(names->records.begin(), end, [&](dns::DnsRecord const& name) {
        bool const listed =
            std::ranges::any_of(settings_.domain_whitelist_ptr,
                                [&](std::string const& domain) { return is_in_or_below(name.data, domain); });
        return listed && has_address(name.data, client, until);
    });
}

bool Bypass::has_address(std::string_view name, spf::IpAddress const& client, Deadline deadline) const {
    auto const address = client.unmapped();
    auto const type = address.is_v4() ? dns::RecordType::a : dns::RecordType::aaaa;
    auto const answer = resolver_.lookup(name, type, deadline);
    return answer && std::ranges::any_of(answer->records, [&](dns::DnsRecord const& record) {
               return record.data == address.octets();
           });
}

} // namespace postern::policyd_spf
