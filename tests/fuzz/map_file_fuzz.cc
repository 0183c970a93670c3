// .cf files: what was taken can be used, and the % language never gives a part that the key has not.
#include "sql-maps/expansion.h"
#include "sql-maps/map_file.h"

#include "tests/fuzz/fuzz.h"

#include <string>

using namespace postern;
using namespace postern::sql_maps;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const input = as_text(data, size);
    for (auto const driver : {sql::Driver::postgresql, sql::Driver::mariadb, sql::Driver::sqlite}) {
        auto const [file, problems] = parse_map_file(input, driver, "x.cf");
        for (auto const& problem : problems) FUZZ_REQUIRE(!problem.text.empty());
        if (!config::has_errors(problems)) FUZZ_REQUIRE(!file.servers.empty());
        for (auto const& server : file.servers) FUZZ_REQUIRE(!server.database.empty());
        Needs needs;
        auto const format = ResultFormat::parse(file.result_format, needs);
        auto const key = Key::make(input.substr(0, 100), needs);
        if (!format || !key) continue;
        auto const value = format->apply(input.substr(size / 2), *key, needs);
        if (value) FUZZ_REQUIRE(value->size() <= file.result_format.size() * (size + 100) + 1);
    }
    return 0;
}
