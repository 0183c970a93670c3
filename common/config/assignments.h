// The file format "name = value" of Postfix's .cf files, dovecot-sql.conf.ext, policyd-spf.conf and
// sql-maps.conf.
#pragma once

#include "common/config/settings.h"
#include "common/config/words.h"

namespace postern::config {

// What differs between the programs that share the shape.
struct AssignmentStyle {
    bool leading_space_continues =
        false;                        // Postfix: a line that begins with a blank belongs to the one before
    bool backslash_continues = false; // Dovecot: a trailing backslash joins the next line
    bool hash_anywhere = false;       // policyd-spf: '#' cuts the line wherever it stands
    bool quoted_values = false;       // Dovecot: "value" in quotes loses them
};
inline constexpr AssignmentStyle postfix_style{.leading_space_continues = true};
inline constexpr AssignmentStyle dovecot_sql_style{.backslash_continues = true, .quoted_values = true};

ReadResult read_assignments(std::string const& path, AssignmentStyle style);
ReadResult parse_assignments(std::string_view text, std::string const& file, AssignmentStyle style);

} // namespace postern::config
