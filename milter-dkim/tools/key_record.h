// The TXT record that publishes a DKIM key (RFC 6376 3.6.1), as text and as an entry of a BIND zone file.
#pragma once

#include "milter-dkim/tools/new_key.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim::tools {

// RFC 1035 3.3: what one string of a TXT record holds.
inline constexpr std::size_t longest_txt_string = 255;

struct KeyRecord {
    KeyType type = KeyType::rsa;
    std::string hash_algorithms = "sha256"; // h=, "sha1:sha256"; empty: any
    std::optional<std::string> note;        // n=, plain text
    bool test_mode = false;                 // t=y
    bool no_subdomains = false;             // t=s
    bool mail_only = false;                 // s=email
    std::string public_key;                 // p=, base64; empty: revoked

    // "v=DKIM1; h=sha256; k=rsa; t=y:s; s=email; ", in the order and with the blanks of opendkim-genkey.
    std::string before_key() const;
    std::string text() const; // with p=
};

// What is published for a key that is gone: the same k=, an empty p=.
std::string revoked_record(KeyType type);

// Text in pieces that fit the strings of a TXT record.
std::vector<std::string> txt_strings(std::string_view text);
// "\"...\"" with what RFC 1035 5.1 wants escaped.
std::string zone_quoted(std::string_view text);

// The file SELECTOR.txt, octet for octet that of opendkim-genkey. domain only stands in the comment, and
// behind the name with append_domain; empty: no comment.
std::string zone_entry(KeyRecord const& record, std::string_view selector, std::string_view domain,
                       bool append_domain);

// A selector as it can stand in a name: labels of letters, digits, '-' and '_' (RFC 6376 3.1).
Result<> check_selector(std::string_view selector);
// A domain that can be signed for: the same labels, at most 253 octets.
Result<> check_domain(std::string_view domain);

} // namespace postern::milter_dkim::tools
