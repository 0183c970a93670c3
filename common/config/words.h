// The file format of opendkim.conf and opendmarc.conf: "Name value", '#' starts a comment anywhere.
#pragma once

#include "common/config/settings.h"

namespace postern::config {

struct ReadResult {
    std::vector<Assignment> assignments;
    std::vector<Problem> problems;
};

// A name without a value is a problem ("required value missing"), as stock has it; the other lines still
// count. "Include FILE" is followed at its place, ten levels deep at most.
ReadResult read_words(std::string const& path);
ReadResult parse_words(std::string_view text, std::string const& file); // without Include

} // namespace postern::config
