// milter-dkim-genkey: the options and files of opendkim-genkey, Ed25519 besides, and hints for a first
// set-up.
#pragma once

#include "common/base/error.h"
#include "common/daemon/command_line.h"
#include "milter-dkim/tools/key_record.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace postern::milter_dkim::tools {

struct GenkeyOptions {
    bool append_domain = false;
    int bits = 2048;
    std::string domain = "localhost";
    std::string directory = ".";
    std::string selector = "default";
    KeyRecord record; // its public key is still empty
    int verbosity = 0;
    std::optional<bool> hints; // absent: as standard output is a terminal or not
    std::vector<std::string> warnings;
};

std::span<daemon::OptionSpec const> genkey_options();
// As Getopt::Long reads long names: every beginning that fits one name only stands for it.
std::vector<std::string> complete_long_names(std::span<char const* const> arguments,
                                             std::span<daemon::OptionSpec const> specs);
Result<GenkeyOptions> read_genkey_options(daemon::CommandLine const& line);

struct GeneratedKey {
    std::string private_file; // DIRECTORY/SELECTOR.private, mode 0600
    std::string record_file;  // DIRECTORY/SELECTOR.txt
    KeyRecord record;
};
Result<GeneratedKey> generate_key_files(GenkeyOptions const& options);

// What to publish: the key's record in one piece for web forms, and SPF and DMARC records to begin with.
std::string publishing_hints(GenkeyOptions const& options, GeneratedKey const& key);

} // namespace postern::milter_dkim::tools
