// Runs a command that the administrator wrote, with something on its standard input and an end to its time.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter_dkim {

using Environment = std::vector<std::pair<std::string, std::string>>; // added to ours

// /bin/sh -c command. Its output is ours. An exit code other than 0, a signal and a passed deadline (then it
// is killed with all it started) are temporary errors.
Result<> run_command(std::string const& command, Environment const& added, std::string_view input,
                     Deadline deadline);
// The same without a shell: a program's path and its arguments.
Result<> run_program(std::vector<std::string> const& arguments, Environment const& added,
                     std::string_view input, Deadline deadline);

} // namespace postern::milter_dkim
