// dovecot.conf: "name = value" in nested blocks "kind [name] { }", with !include, !include_try and </file
// values.
#pragma once

#include "common/config/settings.h"

#include <memory>

namespace postern::config {

struct Block {
    std::string kind; // "service", "passdb", "protocol"; empty for the file itself
    std::string name; // "auth" of "service auth"; may be empty
    Place place;
    std::vector<Assignment> settings; // in file order; a later one wins
    std::vector<Block> blocks;        // blocks of one kind and name are one; so are all "plugin" blocks

    // The last value of a setting in this block, absent when it is not set here.
    std::optional<std::string> value(std::string_view setting) const;
    Assignment const* assignment(std::string_view setting) const;
    // All blocks of one kind, in order; with a name, only those. "passdb" gives every passdb block.
    std::vector<Block const*> all(std::string_view block_kind) const;
    Block const* find(std::string_view block_kind, std::string_view block_name) const;
};

struct BlocksResult {
    Block root;
    std::vector<Problem> problems;
};

// !include patterns are globs, relative to the including file; ten levels deep, 256 files at most. "$name" in
// a value is replaced by what that setting had so far. "</path" is replaced by that file's contents, or by
// nothing when it cannot be read. Problems: a line of no known form, a block left open or closed twice, a
// missing !include.
BlocksResult read_blocks(std::string const& path);
BlocksResult parse_blocks(std::string_view text, std::string const& file); // !include relative to file

} // namespace postern::config
