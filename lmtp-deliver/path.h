// Mail paths of MAIL FROM and RCPT TO (RFC 5321 4.1.2), with the mistakes that Dovecot tells apart.
#pragma once

#include <expected>
#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

struct Address {
    std::string local_part; // without quotes
    std::string domain;     // as written; empty for <postmaster>, with brackets for a literal

    bool is_null() const { return local_part.empty() && domain.empty(); }
    // "local@domain", the local part in quotes when it is no dot-atom; empty for the null path.
    std::string to_string() const;
    // As user databases know it: local part and domain without quotes.
    std::string user_name() const { return domain.empty() ? local_part : local_part + '@' + domain; }
    // RFC 5321 2.4: the local part is case-sensitive, the domain is not.
    bool is_same_as(Address const& other) const;
};

enum class PathMistake {
    whitespace_before,
    empty,
    no_opening,
    no_closing,
    no_route_colon,
    bad_route,
    bad_character,
    bad_local_part,
    bad_quoted_string,
    bad_domain,
    no_domain,
    null_path,
};
std::string_view to_string(PathMistake mistake); // for the reply

struct Path {
    Address address;
    std::string_view rest; // what stands behind '>', without the blank before it
};
// A source route is read and dropped (RFC 5321 appendix C). The null path "<>" is an address that is_null().
std::expected<Path, PathMistake> parse_path(std::string_view text);

// The user and the folder that "user+folder@domain" asks for: cut at the first octet that is in delimiters.
struct Detail {
    Address address; // without the detail
    std::string detail;
};
Detail split_detail(Address const& address, std::string_view delimiters);

} // namespace postern::lmtp_deliver
