// Who a message says that it is from, as far as signing is concerned.
#pragma once

#include "common/mail/address.h"
#include "milter-dkim/message/message_facts.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// The first field of that name, or null.
std::string const* find_header(HeaderList const& headers, std::string_view name);

// The place of the field that is number index of that name: from the top counting from 0, or from the bottom
// with -1.
std::optional<std::size_t> find_field(HeaderList const& headers, std::string_view name, int index);

// The text that tells the sender, and what it comes from: SenderMacro, else the first of SenderHeaders that
// is there, else From.
struct SenderText {
    std::string source;
    std::string value; // empty: there is none
};
SenderText sender_text(std::string_view macro, std::vector<std::string> const& fields,
                       MessageFacts const& facts);

// The first mailbox of a From value, leniently: what RFC 5322 does not allow is searched for <user@domain>.
std::optional<mail::Mailbox> sender_of(std::string_view value);

} // namespace postern::milter_dkim
