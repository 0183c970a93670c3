// Puts one message into a folder: tmp/, fsync, new/, fsync of the directory.
#pragma once

#include "lmtp-deliver/maildir/file_name.h"
#include "lmtp-deliver/maildir/files.h"
#include "lmtp-deliver/plan.h"
#include "lmtp-deliver/spool.h"

#include <optional>
#include <string>

namespace postern::lmtp_deliver {

// A copy that is on disk; further recipients get a hard link to it where modes and file system allow.
struct Stored {
    std::string path;
    net::Descriptor file;
    Permissions permissions;
};

// path: the folder's directory. On an error nothing is left in tmp/ or new/. earlier: a copy of the same
// message, or null.
Result<Stored> store_message(Files& files, FileNames& names, std::string const& path,
                             Permissions const& permissions, Spool const& message, Fsync fsync,
                             Stored const* earlier);

} // namespace postern::lmtp_deliver
