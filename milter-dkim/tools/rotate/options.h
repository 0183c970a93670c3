// milter-dkim-rotate's command line.
#pragma once

#include "common/daemon/command_line.h"
#include "milter-dkim/tools/rotate/plan.h"
#include "milter-dkim/tools/rotate/rotator.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postern::milter_dkim::tools {

struct RotateOptions {
    enum class Publish { print, update, command } publish = Publish::print;
    std::string command;               // Publish::command
    std::optional<TsigKey> key;        // Publish::update
    std::string reload_command;        // empty: by PidFile
    std::vector<std::string> resolver; // nameservers as the resolver takes them; empty: the system's
    std::string state_directory = "/var/lib/postern/milter-dkim-rotate";
    std::chrono::milliseconds interval{10'000};
    bool dry_run = false;
    bool verbose = false;
    AuthoritySettings authority;
    PlanSettings plan;
    RotatorSettings rotator;
};

std::span<daemon::OptionSpec const> rotate_options();
// now: Unix time, for the pattern and for what is due, unless --date says otherwise.
Result<RotateOptions> read_rotate_options(daemon::CommandLine const& line, std::int64_t now);

// "2026-11-21" as Unix time of its midnight, UTC.
Result<std::int64_t> parse_date(std::string_view text);
std::string date_text(std::int64_t unix_seconds); // "2026-11-21"

} // namespace postern::milter_dkim::tools
