// Addresses of header fields (RFC 5322 3.4, 6532, 6854) and of the SMTP envelope (RFC 5321 4.1.2).
#pragma once

#include "common/base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::mail {

struct Mailbox {
    std::string display_name; // comments removed, encoded words left as they are
    std::string local_part;   // without quotes: "a@b"@example.com has the local part a@b
    std::string domain;       // as written, "[192.0.2.1]" with brackets; empty when there was no "@"

    // local_part@domain, or only the local part.
    std::string address() const;
    bool operator==(Mailbox const&) const = default;
};

inline constexpr std::size_t max_mailboxes = 1000;

// Every mailbox of a From, Sender or To value, in order; members of groups too, so an empty group gives none.
//
// Deliberately narrower than RFC 5322's obsolete syntax, because readers disagree there and forgers live on
// that: source routes, blanks or comments inside an address, several <addresses> without a comma, and
// anything unbalanced are malformed. Deliberately wider where much honest mail is wrong: an unquoted "@" or
// dot in a display name, empty list elements, and words without an address (a mailbox without domain), so
// that `Doe, John <j@example.com>` yields the one domain that it names.
Result<std::vector<Mailbox>> parse_mailboxes(std::string_view value);

// "<user@example.com>", "user@example.com" or "<>" (both parts empty); a source route is dropped, as RFC 5321
// 4.1.2 and appendix C want. Anything else is malformed.
Result<Mailbox> parse_path(std::string_view path);

} // namespace postern::mail
