// Lua 5.4 within bounds: one script, run once, in a state of its own.
#pragma once

#include "common/base/error.h"
#include "milter-dkim/lua/value.h"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace postern::milter_dkim::lua {

struct Limits {
    std::size_t memory = std::size_t{16} * 1024 * 1024; // octets
    long instructions = 10'000'000;                     // of the virtual machine; a coroutine costs 10,000
    long calls = 20'000;                                // of the functions given to it
};

struct Function {
    std::string name;
    std::function<Answer(Arguments const&)> call;
};

struct Program {
    std::string_view script;
    std::string name;                                   // for messages
    std::vector<Function> functions;                    // in the table odkim
    std::vector<std::pair<std::string, Value>> globals; // constants, ctx, what earlier scripts exported
};

// Whether it is a Lua program at all; the error tells the line.
Result<> check(std::string_view script, std::string const& name, Limits limits = {});

// Runs it. An error that the script raised or met, too much memory and too many instructions are errors here;
// a function that throws is an error of the script. The script has Lua's base functions, coroutine, table,
// string, math, utf8, io and os, but nothing that starts processes, ends this one, loads code from text
// (dofile takes files that hold text) or reaches into the machine itself.
Result<> run(Program const& program, Limits limits = {});

} // namespace postern::milter_dkim::lua
