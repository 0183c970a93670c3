// Options of one letter or one long name, as getopt reads them, and the --help that fits a screen.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::daemon {

struct OptionSpec {
    char letter = 0;            // 0: long name only
    std::string_view long_name; // without dashes; empty: letter only
    std::string_view argument;  // what stands behind it in the help, "FILE"; empty: a flag
    std::string_view help;
};

// What every program takes; put these first into its own list.
inline constexpr OptionSpec help_option{'h', "help", "", "print this help and exit"};
inline constexpr OptionSpec version_option{'V', "version", "", "print the version and exit"};
inline constexpr OptionSpec check_option{'n', "", "",
                                         "check the configuration: exit 0 when it is good, 78 when not"};
inline constexpr OptionSpec print_defaults_option{0, "print-defaults", "",
                                                  "print every setting with its default and exit"};

class CommandLine {
  public:
    // Letters may be joined ("-vn"), an argument may be joined to its letter ("-cFILE") or follow; long
    // options take
    // "--name=value" or "--name value"; "--" ends the options. The error's text names the option.
    static Result<CommandLine> parse(std::span<char const* const> arguments,
                                     std::span<OptionSpec const> specs);

    // By letter ("c") or long name ("print-defaults").
    bool has(std::string_view option) const;
    std::optional<std::string> value(std::string_view option) const; // the last one given
    std::vector<std::string> values(std::string_view option) const;
    std::vector<std::string> const& operands() const { return operands_; }

  private:
    std::vector<std::pair<OptionSpec, std::string>> given_;
    std::vector<std::string> operands_;
};

// synopsis: "milter-dkim [options]"; summary: one sentence.
std::string help_text(std::string_view synopsis, std::string_view summary, std::span<OptionSpec const> specs);
std::string version_text(std::string_view program); // "milter-dkim (Postern) 0.1.0"

// sysexits(3), the ones that Postern uses.
enum ExitCode : int {
    exit_ok = 0,
    exit_failure = 1,
    exit_usage = 64,
    exit_no_user = 67,
    exit_unavailable = 69,
    exit_software = 70,
    exit_os_error = 71,
    exit_temporary = 75,
    exit_no_permission = 77,
    exit_configuration = 78,
};

} // namespace postern::daemon
