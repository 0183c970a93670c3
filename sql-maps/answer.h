// What a table says about a key.
#pragma once

#include <optional>
#include <string>

namespace postern::sql_maps {

using Answer = std::optional<std::string>; // absent: the key is not in the table

} // namespace postern::sql_maps
