// A file's new contents in one atomic step: whoever reads it sees the old or the new, whatever happens.
#pragma once

#include "common/base/error.h"

#include <string>
#include <string_view>

#include <sys/types.h>

namespace postern::milter_dkim::tools {

// Who a new file belongs to and who may read it.
struct FileAccess {
    uid_t owner = static_cast<uid_t>(-1); // -1: the process' own
    gid_t group = static_cast<gid_t>(-1);
    mode_t mode = 0600;
};

// Writes beside the file, syncs, renames, syncs the directory. An existing file's owner and mode are kept and
// a symbolic link is followed; a new file gets access. The error says which step failed; then the old file
// stands.
Result<> replace_file(std::string const& path, std::string_view contents, FileAccess const& access = {});

// The whole file, at most 64 MiB: a KeyTable may have a million rows.
Result<std::string> read_text(std::string const& path);

Result<FileAccess> access_of(std::string const& path);

} // namespace postern::milter_dkim::tools
