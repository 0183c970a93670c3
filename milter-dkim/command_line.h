// OpenDKIM's options, turned into the settings they stand for.
#pragma once

#include "common/config/settings.h"
#include "common/daemon/command_line.h"

#include <span>
#include <vector>

namespace postern::milter_dkim {

std::span<daemon::OptionSpec const> command_line_options();
// Those that the help shows.
std::span<daemon::OptionSpec const> help_options();
// In place behind the file's lines, so that they win.
std::vector<config::Assignment> assignments_of(daemon::CommandLine const& line);

} // namespace postern::milter_dkim
