// The border to Lua's C interface, which leaves functions by longjmp(3): where it may do so, no object with a
// destructor lives on our stack.
#include "milter-dkim/lua/machine.h"

#include <lua.hpp>

#include <cmath>
#include <cstdlib>
#include <exception>
#include <memory>
#include <stdexcept>

namespace postern::milter_dkim::lua {

namespace {

constexpr int hook_interval = 10'000;
constexpr int max_arguments = 2'100; // of one function; export() of a thousand values has 2,001

// One run. Lua reaches it through the extra space of its state; coroutines share it.
struct Run {
    Program const* program = nullptr;
    Limits limits;
    std::size_t memory = 0;
    long instructions = 0;
    long calls = 0;
    std::vector<Value> results; // of the function called last: kept here while they are handed over
    std::string error;
};

Run& run_of(lua_State* state) { return **static_cast<Run**>(lua_getextraspace(state)); }

// Lua's allocator: refuses what would pass the limit.
void* allocate(void* data, void* block, std::size_t old_size, std::size_t new_size) {
    auto& run = *static_cast<Run*>(data);
    if (block == nullptr) old_size = 0; // then it says what the block is for
    if (new_size == 0) {
        run.memory -= old_size;
        std::free(block);
        return nullptr;
    }
    if (run.memory - old_size + new_size > run.limits.memory && new_size > old_size) return nullptr;
    auto* moved = std::realloc(block, new_size);
    if (moved != nullptr) run.memory = run.memory - old_size + new_size;
    return moved;
}

// Every so many instructions. Raised again at every step from then on, so that no pcall() goes on behind it.
void count_instructions(lua_State* state, lua_Debug*) {
    auto& run = run_of(state);
    run.instructions += hook_interval;
    if (run.instructions <= run.limits.instructions) return;
    lua_sethook(state, count_instructions, LUA_MASKCOUNT, 1);
    luaL_error(state, "too many instructions");
}

Value value_at(lua_State* state, int index) {
    switch (lua_type(state, index)) {
    case LUA_TBOOLEAN: return Value::flag(lua_toboolean(state, index) != 0);
    case LUA_TNUMBER: return Value::number(lua_tonumber(state, index));
    case LUA_TLIGHTUSERDATA: return Value::handle(lua_touserdata(state, index));
    case LUA_TSTRING: {
        std::size_t size = 0;
        auto const* text = lua_tolstring(state, index, &size);
        return Value::text({text, size});
    }
    default: return {};
    }
}

// Text is copied out of the machine, so its copies are counted as the machine's memory is.
std::vector<Value> arguments_in(lua_State* state, std::size_t memory) {
    if (lua_gettop(state) > max_arguments) throw std::length_error("too many arguments");
    std::vector<Value> values;
    std::size_t octets = 0;
    for (int i = 1; i <= lua_gettop(state); ++i) {
        if (lua_type(state, i) == LUA_TSTRING) octets += lua_rawlen(state, i);
        if (octets > memory) throw std::length_error("not enough memory");
        values.push_back(value_at(state, i));
    }
    return values;
}

// Does everything that needs C++ objects; true: the script gets run.error.
bool call(lua_State* state, Run& run, Function const& function) noexcept {
    try {
        if (++run.calls > run.limits.calls) throw std::length_error("too many calls");
        auto values = arguments_in(state, run.limits.memory);
        auto answer = function.call(Arguments(std::move(values)));
        if (answer) {
            run.results = std::move(*answer);
            return false;
        }
        run.error = "odkim." + function.name + "(): " + answer.error();
    } catch (std::exception const& failure) {
        run.error = failure.what();
    }
    return true;
}

// May leave by longjmp.
void push(lua_State* state, Value const& value) {
    if (auto const* flag = std::get_if<bool>(&value.is))
        lua_pushboolean(state, *flag ? 1 : 0);
    else if (auto const* number = std::get_if<double>(&value.is)) {
        // 1 and not 1.0, where a script puts it into text.
        if (std::floor(*number) == *number && std::abs(*number) < 0x1p53)
            lua_pushinteger(state, static_cast<lua_Integer>(*number));
        else
            lua_pushnumber(state, *number);
    } else if (auto const* text = std::get_if<std::string>(&value.is))
        lua_pushlstring(state, text->data(), text->size());
    else if (auto const* handle = std::get_if<void const*>(&value.is))
        lua_pushlightuserdata(state, const_cast<void*>(*handle));
    else if (auto const* list = std::get_if<List>(&value.is)) {
        luaL_checkstack(state, 4, nullptr);
        lua_createtable(state, static_cast<int>(list->size()), 0);
        for (std::size_t i = 0; i < list->size(); ++i) {
            push(state, (*list)[i]);
            lua_rawseti(state, -2, static_cast<lua_Integer>(i + 1));
        }
    } else
        lua_pushnil(state);
}

int call_function(lua_State* state) {
    auto& run = run_of(state);
    auto const index = static_cast<std::size_t>(lua_tointeger(state, lua_upvalueindex(1)));
    bool const raises = call(state, run, run.program->functions[index]);
    if (raises) {
        lua_pushlstring(state, run.error.data(), run.error.size());
        return lua_error(state);
    }
    luaL_checkstack(state, static_cast<int>(run.results.size()), nullptr);
    for (auto const& each : run.results) push(state, each);
    return static_cast<int>(run.results.size());
}

void remove_from(lua_State* state, char const* table, char const* name) {
    lua_getglobal(state, table);
    lua_pushnil(state);
    lua_setfield(state, -2, name);
    lua_pop(state, 1);
}

// setmetatable() without __gc: finalizers run where no instruction is counted.
int set_metatable(lua_State* state) {
    if (lua_type(state, 2) == LUA_TTABLE) {
        lua_pushliteral(state, "__gc");
        if (lua_rawget(state, 2) != LUA_TNIL) return luaL_error(state, "__gc is not to be had");
        lua_pop(state, 1);
    }
    lua_pushvalue(state, lua_upvalueindex(1));
    lua_insert(state, 1);
    lua_call(state, lua_gettop(state) - 1, 1);
    return 1;
}

// A coroutine counts anew, so that making many of short life would cost nothing: each costs what may go
// uncounted.
int make_coroutine(lua_State* state) {
    count_instructions(state, nullptr);
    lua_pushvalue(state, lua_upvalueindex(1));
    lua_insert(state, 1);
    lua_call(state, lua_gettop(state) - 1, 1);
    return 1;
}

void charge_coroutines(lua_State* state) {
    lua_getglobal(state, LUA_COLIBNAME);
    for (auto const* name : {"create", "wrap"}) {
        lua_getfield(state, -1, name);
        lua_pushcclosure(state, make_coroutine, 1);
        lua_setfield(state, -2, name);
    }
    lua_pop(state, 1);
}

// dofile() of text only, and not of standard input.
int do_file(lua_State* state) {
    auto const* path = luaL_checkstring(state, 1);
    lua_settop(state, 1);
    if (luaL_loadfilex(state, path, "t") != LUA_OK) return lua_error(state);
    lua_call(state, 0, LUA_MULTRET);
    return lua_gettop(state) - 1;
}

// Not package (it loads foreign code) and not debug (it takes hooks away).
void open_libraries(lua_State* state) {
    static constexpr luaL_Reg libraries[] = {
        {LUA_GNAME, luaopen_base},       {LUA_COLIBNAME, luaopen_coroutine}, {LUA_TABLIBNAME, luaopen_table},
        {LUA_IOLIBNAME, luaopen_io},     {LUA_OSLIBNAME, luaopen_os},        {LUA_STRLIBNAME, luaopen_string},
        {LUA_MATHLIBNAME, luaopen_math}, {LUA_UTF8LIBNAME, luaopen_utf8}};
    for (auto const& library : libraries) {
        luaL_requiref(state, library.name, library.func, 1);
        lua_pop(state, 1);
    }
    for (auto const* name : {"execute", "exit", "setlocale"}) remove_from(state, LUA_OSLIBNAME, name);
    remove_from(state, LUA_IOLIBNAME, "popen");
    for (auto const* name : {"load", "loadfile"}) {
        lua_pushnil(state);
        lua_setglobal(state, name);
    }
    remove_from(state, LUA_STRLIBNAME, "dump");
    lua_getglobal(state, "setmetatable");
    lua_pushcclosure(state, set_metatable, 1);
    lua_setglobal(state, "setmetatable");
    lua_pushcfunction(state, do_file);
    lua_setglobal(state, "dofile");
    charge_coroutines(state);
}

// Everything happens in here, in protected mode.
int work(lua_State* state) {
    auto const& program = *run_of(state).program;
    open_libraries(state);
    lua_createtable(state, 0, static_cast<int>(program.functions.size()));
    for (std::size_t i = 0; i < program.functions.size(); ++i) {
        lua_pushinteger(state, static_cast<lua_Integer>(i));
        lua_pushcclosure(state, call_function, 1);
        lua_setfield(state, -2, program.functions[i].name.c_str());
    }
    lua_setglobal(state, "odkim");
    for (auto const& [name, value] : program.globals) {
        push(state, value);
        lua_setglobal(state, name.c_str());
    }
    // "t": text only; a prepared binary could break out of the machine.
    if (luaL_loadbufferx(state, program.script.data(), program.script.size(), program.name.c_str(), "t") !=
        LUA_OK)
        return lua_error(state);
    lua_call(state, 0, 0);
    return 0;
}

int only_load(lua_State* state) {
    auto const& program = *run_of(state).program;
    if (luaL_loadbufferx(state, program.script.data(), program.script.size(), program.name.c_str(), "t") !=
        LUA_OK)
        return lua_error(state);
    return 0;
}

Result<> protect(lua_CFunction work_to_do, Program const& program, Limits limits) {
    Run run;
    run.program = &program;
    run.limits = limits;
    std::unique_ptr<lua_State, decltype(&lua_close)> const state(lua_newstate(allocate, &run), lua_close);
    if (!state) return temporary("no memory for a script");
    *static_cast<Run**>(lua_getextraspace(state.get())) = &run;
    lua_sethook(state.get(), count_instructions, LUA_MASKCOUNT, hook_interval);
    lua_pushcfunction(state.get(), work_to_do); // of no upvalue: allocates nothing
    if (lua_pcall(state.get(), 0, 0, 0) == LUA_OK) return {};
    // An error may be any value; only text says something.
    auto const* text = lua_type(state.get(), -1) == LUA_TSTRING ? lua_tostring(state.get(), -1) : nullptr;
    return permanent(text == nullptr ? "processing error" : text);
}

} // namespace

Result<> check(std::string_view script, std::string const& name, Limits limits) {
    return protect(only_load, {script, name, {}, {}}, limits);
}

Result<> run(Program const& program, Limits limits) { return protect(work, program, limits); }

} // namespace postern::milter_dkim::lua
