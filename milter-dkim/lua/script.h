// A policy script, read and known to be a Lua program.
#pragma once

#include "common/base/error.h"

#include <cstddef>
#include <string>

namespace postern::milter_dkim::lua {

inline constexpr std::size_t max_script = std::size_t{1024} * 1024; // octets

struct Script {
    std::string path;
    std::string text;
};

// The error says what is wrong with it, or that this build has no Lua.
Result<Script> load_script(std::string const& path);

} // namespace postern::milter_dkim::lua
