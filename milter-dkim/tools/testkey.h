// milter-dkim-testkey: whether private keys fit what the DNS publishes, in opendkim-testkey's words.
#pragma once

#include "common/daemon/command_line.h"
#include "common/dns/resolver.h"
#include "milter-dkim/settings.h"
#include "milter-dkim/tools/outcome.h"

#include <span>
#include <string>

namespace postern::milter_dkim::tools {

struct TestkeyOptions {
    std::string program; // the name it was called by
    std::string domain;  // empty: all rows of the KeyTable
    std::string selector;
    std::string key_path; // empty: only the record is looked at
    std::string key_table;
    int verbosity = 0; // 1: DNSSEC and the count, 2: each step, 3: good keys too
};

std::span<daemon::OptionSpec const> testkey_options();
// What the command line leaves open comes from the settings; any of -d, -k, -s means: no KeyTable.
TestkeyOptions read_testkey_options(std::string program, daemon::CommandLine const& line,
                                    Settings const& settings);
std::string testkey_usage(std::string const& program);

// 0 good; 65 the keys do not match; 69 no usable record or key; 71 the key file cannot be read; 78 usage.
// With a KeyTable 0 whatever its keys are, as stock has it, and 1 when it cannot be read.
Outcome test_keys(TestkeyOptions const& options, Settings const& settings, dns::Resolver& resolver);

} // namespace postern::milter_dkim::tools
