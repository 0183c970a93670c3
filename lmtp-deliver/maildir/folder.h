// Folders of a Maildir: found, made when the plan says so, subscribed.
#pragma once

#include "lmtp-deliver/maildir/files.h"
#include "lmtp-deliver/maildir/location.h"

#include <string>
#include <string_view>

namespace postern::lmtp_deliver {

// The directory that holds cur, new and tmp.
std::string folder_path(MailLocation const& location, std::string_view folder);

// The root's permissions, after making it with INBOX if it is not there yet.
Result<Permissions> ensure_inbox(Files& files, MailLocation const& location);
// cur, new and tmp; a folder that is not INBOX also gets its "maildirfolder" file.
Result<> make_folder(Files& files, MailLocation const& location, std::string_view folder,
                     Permissions const& permissions);

// Adds a line to the subscriptions file unless it is there. A new file is version 2, an old one is kept in
// its version ("/" or "." between the parts); both are replaced by rename(2).
Result<> subscribe(Files& files, MailLocation const& location, std::string const& subscription,
                   Permissions const& permissions);

} // namespace postern::lmtp_deliver
