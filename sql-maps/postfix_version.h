// Which Postfix is installed, for what differs between its versions.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::sql_maps {

// The output of a command, at most 64 KiB of it; the process is killed at the deadline. No shell is involved.
Result<std::string> output_of(std::vector<std::string> const& command, Deadline deadline);

// `postconf -h mail_version`, from the directory when one is given.
Result<std::string> postfix_version(std::string const& config_directory, Deadline deadline);

// "3.5.18" does not wait for a greeting; "3.6.0", "3.7.11" and "4.0-20250101" do.
bool waits_for_greeting(std::string_view version);

} // namespace postern::sql_maps
