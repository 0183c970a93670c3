// A build without Lua: no script can be loaded, so none is ever run.
#include "milter-dkim/lua/machine.h"

namespace postern::milter_dkim::lua {

Result<> check(std::string_view, std::string const& name, Limits) {
    return permanent("this build has no Lua to run " + name);
}

Result<> run(Program const& program, Limits) { return check(program.script, program.name); }

} // namespace postern::milter_dkim::lua
