// The three scripts of opendkim.conf, each run with the functions and constants that opendkim-lua(3) gives
// it.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/lua/script.h"
#include "milter-dkim/lua/script_message.h"

#include <string_view>

namespace postern::milter_dkim::lua {

enum class Hook { setup, screen, final };
std::string_view to_string(Hook hook);

// The error is for the log; the message then goes on as On-InternalError says.
Result<> run_script(Script const& script, Hook hook, ScriptMessage& message);

} // namespace postern::milter_dkim::lua
