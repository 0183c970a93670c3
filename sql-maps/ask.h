// `sql-maps -q KEY MAP`: one lookup, told in words.
#pragma once

#include "sql-maps/settings.h"

#include <string>

namespace postern::sql_maps {

// map: "pgsql:/etc/postfix/x.cf", or NAME of a map_NAME line, whose class then applies. Prints the value on
// standard output as postmap(1) does, and statement, values, server and time on standard error. Gives the
// exit code: 0 found, 1 not found, 75 could not be found out.
int ask(Settings const& settings, std::string const& key, std::string const& map, Log& log);

// Reads the file of every map_NAME line and says what is wrong with it, on standard error; false for errors.
bool check_maps(Settings const& settings);

} // namespace postern::sql_maps
