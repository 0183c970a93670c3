// What the command line can ask for instead of a running daemon: it is printed, and gives the exit code.
#pragma once

#include "common/daemon/command_line.h"
#include "milter-dkim/session.h"

#include <memory>
#include <optional>
#include <string>

namespace postern::milter_dkim {

// -?, -V, -e, -Q, --print-defaults; absent: go on. path: of the settings.
std::optional<int> answer_question(std::string const& program, daemon::CommandLine const& line,
                                   std::string const& path);
// Whether messages in files are looked at: -t, --explain.
bool reads_messages(daemon::CommandLine const& line);
int answer_messages(std::string const& program, daemon::CommandLine const& line,
                    std::shared_ptr<Configuration const> configuration);

} // namespace postern::milter_dkim
