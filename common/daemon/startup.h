// The steps before a daemon runs that all mains share: help, version, problems on standard error.
#pragma once

#include "common/base/log.h"
#include "common/config/settings.h"
#include "common/daemon/command_line.h"

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::daemon {

// --help and --version, and mistakes on the command line: prints and gives the exit code; absent: go on.
struct ProgramText {
    std::string_view name;     // "milter-dkim"
    std::string_view synopsis; // "milter-dkim [-n] [-x FILE]"
    std::string_view summary;  // "Signs and verifies mail (DKIM, RFC 6376) as a milter; replaces OpenDKIM."
};
std::optional<int> answer_standard_options(ProgramText const& text, Result<CommandLine> const& line,
                                           std::span<OptionSpec const> specs);

// One line per problem, on standard error and, when log is given, there too.
void report_problems(std::string_view program, std::vector<config::Problem> const& problems,
                     Log* log = nullptr);

// The first of the paths that exists, or the first of all (for the error message).
std::string first_existing(std::span<std::string_view const> paths);

struct LogChoice {
    bool syslog = true; // false: standard error
    std::string identity;
    std::string facility = "mail";
    bool debug = false;
};
// Standard error when systemd collects it for the journal (JOURNAL_STREAM) or syslog is off, else syslog(3).
std::unique_ptr<Log> make_log(LogChoice const& choice);

} // namespace postern::daemon
