// What a tool has to say at its end; main prints it.
#pragma once

#include <string>

namespace postern::milter_dkim::tools {

struct Outcome {
    int code = 0; // exit status
    std::string out;
    std::string err;
};

// Prints both and gives the code. Standard output that cannot be written is a failure.
int print(Outcome const& outcome);
// Behind the last '/': the tools speak under the name that they were called by, as opendkim's did.
std::string called_name(char const* argv0, std::string const& fallback);

} // namespace postern::milter_dkim::tools
