// The keys that an opendkim.conf signs with, where each is written, and how that is changed.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/settings.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim::tools {

// One selector of one domain, as one or more rows of the KeyTable have it; or Selector and KeyFile, for all
// domains of Domain.
struct KeyInUse {
    enum class Where { key_table, settings } where = Where::key_table;
    std::vector<std::string> domains;
    std::string selector;
    std::string path;       // of the private key; empty: it stands in the row itself
    std::string file;       // where it is written
    std::vector<int> lines; // the rows, from 1; settings: Selector's and KeyFile's

    std::string place() const; // "/etc/opendkim.conf:12"
};

struct Inventory {
    Settings settings;
    std::vector<KeyInUse> keys;
    // Errors: nothing can be rotated. Warnings: some rows are passed over.
    std::vector<config::Problem> problems;
};
Inventory take_inventory(std::string const& configuration);

// The file's text with another selector and key path in the key's lines; all else stays as it is. Malformed:
// the lines do not say (any more) what the key says.
Result<std::string> with_new_key(KeyInUse const& key, std::string_view text, std::string_view selector,
                                 std::string_view path);

} // namespace postern::milter_dkim::tools
