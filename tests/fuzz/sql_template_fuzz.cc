// Query templates: no value changes the statement around it.
#include "common/sql/template.h"

#include "sql-maps/expansion.h"
#include "tests/fuzz/fuzz.h"

#include <string>

using namespace postern;
using sql::Driver;

namespace {

sql::Template::Bound bound(sql::Template const& made, Driver driver, std::string const& value) {
    auto out = made.bind([&](std::string_view) -> Result<std::string> { return value; },
                         [&](std::string_view text) { return sql::escape(driver, text); });
    FUZZ_REQUIRE(out);
    FUZZ_REQUIRE(out->values.size() == out->statement.parameters());
    return *out;
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    constexpr Driver drivers[] = {Driver::postgresql, Driver::mariadb, Driver::sqlite};
    for (auto const driver : drivers) {
        auto const made = sql::Template::parse(as_text(data, size), driver, sql_maps::scan_variable);
        if (!made) {
            FUZZ_REQUIRE(!made.error().text.empty());
            continue;
        }
        auto const plain = bound(*made, driver, "a");
        auto const hostile = bound(*made, driver, "a' OR \"1\"='1' -- \\ /* $$ ` ;");
        FUZZ_REQUIRE(plain.values.size() == hostile.values.size());
        if (made->bare_variables().empty())
            FUZZ_REQUIRE(plain.statement.fragments == hostile.statement.fragments);
        if (made->variables().empty()) FUZZ_REQUIRE(plain.values.empty());
        // Nothing that is bound is text that still waits for a variable.
        FUZZ_REQUIRE(!sql::with_placeholders(plain.statement, driver).empty() || size == 0 ||
                     !made->variables().empty());
    }
    return 0;
}
