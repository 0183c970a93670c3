// mail_location: where a user's mailboxes are.
#pragma once

#include "common/base/error.h"
#include "lmtp-deliver/maildir/mailbox_name.h"

#include <optional>
#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

struct MailLocation {
    std::string root;          // without a slash at the end
    std::string inbox;         // root unless INBOX= says otherwise
    std::string control;       // maildirsize and subscriptions live here; root unless CONTROL= says otherwise
    std::string subscriptions; // file name, "subscriptions" unless SUBSCRIPTIONS= says otherwise
    Layout layout = Layout::maildirpp;
    bool utf8 = false; // folder names on disk in UTF-8 in place of modified UTF-7
};

// "maildir:~/Maildir:LAYOUT=fs:INDEX=/x", variables already replaced; "::" is a colon. INDEX, ALT and others
// that delivery does not touch are passed over. "~/" and relative paths need the home.
Result<MailLocation> parse_mail_location(std::string_view text, std::optional<std::string> const& home);

} // namespace postern::lmtp_deliver
