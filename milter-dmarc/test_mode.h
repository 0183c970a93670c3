// milter-dmarc -t: judges messages from files and prints what would be done with them.
#pragma once

#include "milter-dmarc/configuration.h"

#include <string>
#include <string_view>

namespace postern::milter_dmarc {

// What happens to the message, one line for each change and last the verdict, each beginning "name: ". The
// sender is taken from the Return-Path field, the client is 127.0.0.1 and not passed over.
std::string judged(std::string const& name, std::string_view message,
                   std::shared_ptr<Configuration const> configuration, Log& log, Outcomes& outcomes);

// files: paths separated by commas. Gives the exit code: 0, 65 when one cannot be read, 75 when one had to
// wait.
int judge_files(std::string_view files, Configuration const& settings);

} // namespace postern::milter_dmarc
