// The file that names a running daemon's process.
#pragma once

#include "common/base/error.h"
#include "common/daemon/privileges.h"

#include <optional>
#include <string>

namespace postern::daemon {

class PidFile {
  public:
    PidFile() = default;
    PidFile(PidFile const&) = delete;
    PidFile& operator=(PidFile const&) = delete;
    ~PidFile(); // empties or removes it, whichever the rights allow

    // Writes this process' number; an empty path does nothing. A symbolic link is not followed. owner gets
    // the file, so that it can be removed after root is given up.
    Result<> write(std::string const& path, std::optional<Identity> const& owner);

  private:
    std::string path_;
    int written_by_ = 0;
};

} // namespace postern::daemon
