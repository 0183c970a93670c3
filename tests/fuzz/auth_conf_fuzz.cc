// The auth part of a dovecot.conf and a dovecot-sql.conf.ext: every problem has words, and a second reading
// is the same.
#include "auth-socket/settings.h"
#include "auth-socket/users/sql.h"
#include "tests/fuzz/fuzz.h"

using namespace postern;
using namespace postern::auth_socket;

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    auto const text = as_text(data, size);
    if (text.contains("!include") || text.contains('<')) return 0; // no files of the machine
    auto const run = [&] {
        auto const read = config::parse_blocks(text, "fuzz.conf");
        auto problems = read.problems;
        auto const settings = understand_dovecot(read.root, OwnSettings{}, problems);
        std::string told = std::to_string(settings.listeners.size());
        for (auto const& problem : problems) {
            FUZZ_REQUIRE(!problem.text.empty());
            told += problem.to_string() + "\n";
        }
        return told;
    };
    FUZZ_REQUIRE(run() == run());
    std::vector<config::Problem> problems;
    auto const sql = parse_sql_settings(text, "fuzz.sql", problems);
    FUZZ_REQUIRE(sql || config::has_errors(problems));
    if (sql) FUZZ_REQUIRE(!sql->pool.servers.empty());
    return 0;
}
