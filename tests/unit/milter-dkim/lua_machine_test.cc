// Lua within its bounds: what scripts cannot do, and what becomes of those that try.
#include "milter-dkim/lua/machine.h"

#include "tests/unit/support/catch.h"
#include "tests/unit/support/temp_dir.h"

#include <cmath>
#include <limits>
#include <stdexcept>

using namespace postern;
using namespace postern::milter_dkim::lua;
using postern::test::TempDir;

namespace {

struct Seen {
    std::vector<Value> values;
    std::string error; // of the run
};

// Runs the script; note(...) keeps what it is given.
Seen seen(std::string_view script, Limits limits = {}) {
    Seen out;
    Program program{script, "=test", {}, {{"seven", Value::number(7)}, {"word", Value::text("w")}}};
    program.functions.push_back({"note", [&](Arguments const& arguments) {
                                     for (std::size_t i = 0; i < arguments.size(); ++i)
                                         out.values.push_back(arguments.at(i));
                                     return nothing();
                                 }});
    program.functions.push_back(
        {"fails", [](Arguments const&) -> Answer { return std::unexpected(std::string("it does")); }});
    program.functions.push_back(
        {"throws", [](Arguments const&) -> Answer { throw std::runtime_error("thrown"); }});
    program.functions.push_back(
        {"many", [](Arguments const&) { return one(Value::list({Value::text("a"), Value::number(2)})); }});
    auto const done = run(program, limits);
    if (!done) out.error = done.error().text;
    return out;
}

std::string text_of(Seen const& result) {
    REQUIRE(result.error.empty());
    REQUIRE(result.values.size() == 1);
    return Arguments(result.values).text(0);
}

} // namespace

TEST_CASE("values go in and out of a script") {
    CHECK(text_of(seen("odkim.note(word .. seven)")) == "w7");
    CHECK(text_of(seen("odkim.note(1.5)")) == "1.5");
    CHECK(text_of(seen("odkim.note(#odkim.many() .. odkim.many()[1] .. odkim.many()[2])")) == "2a2");
    CHECK(text_of(seen("odkim.note('a\\0b')")) == std::string("a\0b", 3));
    CHECK(seen("odkim.note(true)").values.size() == 1);
    CHECK(text_of(seen("local ok, why = pcall(odkim.fails) odkim.note(why)")) == "odkim.fails(): it does");
    CHECK(text_of(seen("local ok, why = pcall(odkim.throws) odkim.note(why)")) == "thrown");
}

TEST_CASE("a script that is wrong is an error with its line") {
    CHECK(seen("x = = 1").error.starts_with("test:1: unexpected symbol"));
    CHECK(seen("\nerror('no')").error == "test:2: no");
    CHECK(seen("odkim.fails()").error == "odkim.fails(): it does");
    CHECK(seen("error({})").error == "processing error");
    CHECK(seen("nothing.at.all()").error.contains("attempt to index a nil value"));
    CHECK(seen("\033Lua").error.contains("attempt to load a binary chunk"));
    CHECK_FALSE(check("x = = 1", "=t"));
    CHECK(check("error('only read, not run')", "=t"));
}

TEST_CASE("a script without an end is stopped, however it catches errors") {
    Limits const few{Limits().memory, 200'000};
    for (auto const* script :
         {"while true do end", "while true do pcall(function() while true do end end) end",
          "local function f() pcall(f) while true do end end f()",
          "local c = coroutine.wrap(function() while true do end end) while true do pcall(c) end",
          "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end",
          "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) return t[1]",
          "local function f() return f() end f()", "goto a ::a:: goto a"}) {
        INFO(script);
        auto const error = seen(script, few).error;
        CAPTURE(error);
        CHECK((error.contains("too many instructions") || error.contains("stack overflow") ||
               error.contains("C stack")));
    }
    CHECK(seen("setmetatable({}, {__gc = function() while true do end end})", few)
              .error.contains("__gc is not to be had"));
    CHECK(seen("for i = 1, 1000 do end", few).error.empty());
    // Coroutines of short life are counted, too: each runs nearly as long as goes uncounted.
    auto const rounds =
        seen("while true do coroutine.wrap(function() for i = 1, 9000 do end odkim.note(1) end)() end", few);
    CHECK(rounds.error.contains("too many instructions"));
    CHECK(rounds.values.size() <= 20);
    CHECK(seen("local n = 0 for i = 1, 10 do coroutine.wrap(function() n = n + 1 end)() end odkim.note(n) "
               "local c = coroutine.create(function(a) coroutine.yield(a + 1) end) "
               "odkim.note(select(2, coroutine.resume(c, 1)))",
               few)
              .values.size() == 2);
}

TEST_CASE("a script that wants all the memory does not get it") {
    Limits const small{1024 * 1024, Limits().instructions};
    CHECK(seen("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", small).error ==
          "not enough memory");
    CHECK(seen("local s = ('x'):rep(1 << 40)", small).error.contains("resulting string too large"));
    CHECK(seen("local s = ('x'):rep(2000000)", small).error == "not enough memory");
    CHECK(seen("local s = ('x'):rep(500000)", small).error.empty());
    // Too little for the libraries is an error too.
    for (std::size_t memory = 0; memory < 12000; memory += 200)
        CHECK_FALSE(seen("odkim.note(1)", {memory, 1000000}).error.empty());
    CHECK(seen("pcall(string.rep, 'x', 2000000) odkim.note('alive')", small).values.size() == 1);
}

TEST_CASE("functions are called so often and with so much and no more") {
    Limits const few{1024 * 1024, Limits().instructions, 3};
    CHECK(seen("for i = 1, 3 do odkim.note(i) end", few).error.empty());
    CHECK(seen("for i = 1, 4 do odkim.note(i) end", few).error == "too many calls");
    CHECK(seen("odkim.note(table.unpack({}, 1, 2100))").values.size() == 2100);
    CHECK(seen("odkim.note(table.unpack({}, 1, 2101))").error == "too many arguments");
    // One text many times is one in the machine, and many outside of it.
    auto const times = [&](int count) {
        return seen("local s = ('x'):rep(100000) local t = {} for i = 1, " + std::to_string(count) +
                        " do t[i] = s end odkim.note(table.unpack(t))",
                    few);
    };
    CHECK(times(10).values.size() == 10);
    CHECK(times(11).error == "not enough memory");
}

TEST_CASE("a file of Lua text may be run, and no other") {
    TempDir const files;
    auto const text = files.write("more.lua", "shared = 'from the file' return 1, 2");
    CHECK(text_of(seen("odkim.note(select('#', dofile('" + text + "', 3, 4)) .. shared)")) ==
          "2from the file");
    auto const binary = files.write("binary.lua", "\033Lua");
    CHECK(seen("dofile('" + binary + "')").error.contains("attempt to load a binary chunk"));
    CHECK(seen("dofile()").error.contains("bad argument #1 to 'dofile'"));
    CHECK(seen("dofile('/nonexistent/x')").error.contains("cannot open"));
    auto const endless = files.write("endless.lua", "while true do end");
    CHECK(seen("pcall(dofile, '" + endless + "')", {Limits().memory, 200'000, 3})
              .error.contains("too many instructions"));
}

TEST_CASE("a number that is no index is the nearest there is") {
    auto const integer = [](Value value) { return Arguments({std::move(value)}).integer(0); };
    CHECK(integer(Value::number(-1.9)) == -1);
    CHECK(integer(Value::text("7")) == 7);
    for (double const huge : {1e300, std::numeric_limits<double>::infinity(), 2147483647.5})
        CHECK(integer(Value::number(huge)) == std::numeric_limits<int>::max());
    CHECK(integer(Value::number(std::nan(""))) == std::numeric_limits<int>::max());
    CHECK(integer(Value::number(-1e300)) == std::numeric_limits<int>::min());
}

TEST_CASE("nothing that reaches out of the machine is there") {
    for (auto const* name : {"os.execute", "os.exit", "os.setlocale", "io.popen", "load", "loadfile",
                             "require", "package", "debug", "string.dump"}) {
        INFO(name);
        CHECK(seen("local ok, it = pcall(function() return " + std::string(name) +
                   " end) odkim.note(ok and it ~= nil)")
                  .error.empty());
        auto const result = seen("local ok, it = pcall(function() return " + std::string(name) +
                                 " end) odkim.note(it == nil)");
        CHECK(std::get<bool>(result.values.at(0).is));
    }
    for (auto const* name : {"os.date", "io.open", "string.find", "table.concat", "math.floor", "utf8.char",
                             "coroutine.create", "pcall", "tostring"}) {
        auto const result = seen("odkim.note(" + std::string(name) + " ~= nil)");
        CHECK(std::get<bool>(result.values.at(0).is));
    }
}
