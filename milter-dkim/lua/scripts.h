// The three scripts of opendkim.conf, each run with the functions and constants that opendkim-lua(3) gives
// it.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/lua/script_message.h"

#include <string>

namespace postern::milter_dkim::lua {

enum class Hook { setup, screen, final };

// A script's text, known to be a Lua program.
struct Script {
    std::string path;
    std::string text;
};

inline constexpr std::size_t max_script = std::size_t{1024} * 1024; // octets

// Reads and checks it; the error says what is wrong, or that this build has no Lua.
Result<Script> load_script(std::string const& path);

// The error is for the log; the message then goes on as On-InternalError says.
Result<> run_script(Script const& script, Hook hook, ScriptMessage& message);

} // namespace postern::milter_dkim::lua
