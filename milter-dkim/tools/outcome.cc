// Printing.
#include "milter-dkim/tools/outcome.h"

#include "common/daemon/command_line.h"

#include <cstdio>

namespace postern::milter_dkim::tools {

int print(Outcome const& outcome) {
    std::fputs(outcome.err.c_str(), stderr);
    auto const written = std::fwrite(outcome.out.data(), 1, outcome.out.size(), stdout);
    if (written == outcome.out.size() && std::fflush(stdout) == 0) return outcome.code;
    std::perror("standard output");
    return daemon::exit_os_error;
}

std::string called_name(char const* argv0, std::string const& fallback) {
    if (argv0 == nullptr) return fallback;
    std::string const path(argv0);
    auto name = path.substr(path.rfind('/') + 1); // npos + 1 is 0
    return name.empty() ? fallback : name;
}

} // namespace postern::milter_dkim::tools
