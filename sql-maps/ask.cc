// A lookup with everything that happens on its way.
#include "sql-maps/ask.h"

#include "common/base/text.h"
#include "common/daemon/command_line.h"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>

namespace postern::sql_maps {

namespace {

void tell(std::string_view key, Trace const& trace, Result<Answer> const& answer, double milliseconds) {
    fmt::print(stderr, "key:    {}\n", printable(key));
    if (trace.statement.empty()) {
        fmt::print(stderr, "query:  none; the table's templates or its domain list leave this key out\n");
    } else {
        fmt::print(stderr, "query:  {}\n", trace.statement);
        for (std::size_t i = 0; i < trace.values.size(); ++i)
            fmt::print(stderr, "value:  {} = \"{}\"\n", i + 1, printable(trace.values[i]));
        fmt::print(stderr, "host:   {}\n", trace.server.empty() ? "none answered" : trace.server);
    }
    auto const outcome = !answer ? answer.error().text : *answer ? "found" : "not found";
    fmt::print(stderr, "result: {}, {:.1f} ms\n", outcome, milliseconds);
}

} // namespace

int ask(Settings const& settings, std::string const& key, std::string const& map, Log& log) {
    Metrics metrics;
    auto const stock = [&](std::string const& table, std::string_view domain) {
        StockConnection connection(settings.stock_proxymap);
        return stock_lookup(connection, table, domain);
    };
    Maps maps(settings.limits, stock, log, metrics);
    auto const named = settings.maps.find(map);
    if (named == settings.maps.end() && !parse_table_name(map)) {
        fmt::print(stderr, "sql-maps: {} is neither TYPE:/PATH.cf nor the NAME of a map_NAME line\n", map);
        return daemon::exit_usage;
    }
    auto const& table = named != settings.maps.end() ? named->second.table : map;
    auto const map_class = named != settings.maps.end() ? named->second.map_class : MapClass::plain;
    auto const answer = search(key, map_class, settings.rules, [&](std::string_view candidate) {
        using Clock = std::chrono::steady_clock;
        Trace trace;
        auto const begun = Clock::now();
        auto found = maps.lookup(table, candidate, &trace);
        tell(candidate, trace, found,
             std::chrono::duration<double, std::milli>(Clock::now() - begun).count());
        return found;
    });
    if (!answer) return daemon::exit_temporary;
    if (!*answer) return daemon::exit_failure;
    fmt::print("{}\n", **answer);
    return daemon::exit_ok;
}

bool check_maps(Settings const& settings) {
    StreamLog log("sql-maps");
    Metrics metrics;
    Maps maps(settings.limits, [](auto const&, auto) { return Answer(); }, log, metrics);
    bool good = true;
    for (auto const& [name, map] : settings.maps) {
        auto const opened = maps.open(map.table);
        if (opened) continue;
        fmt::print(stderr, "sql-maps: map_{}: {}\n", name, opened.error().text);
        good = false;
    }
    return good;
}

} // namespace postern::sql_maps
