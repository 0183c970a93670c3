// Berkeley DB files ("db:", "*.db") and LMDB directories ("mdb:") as data sets, where the libraries are
// there.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/tables/data_set.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// The kinds that this build opens, for messages: "csl:, file:, refile:, db:, mdb:, dsn:".
std::string_view data_set_kinds();

// All rows, read once; a reload reads them again. Without the library: a permanent error that says so.
Result<std::vector<Row>> read_berkeley_db(std::string const& path);
Result<std::vector<Row>> read_lmdb(std::string const& path);

} // namespace postern::milter_dkim
