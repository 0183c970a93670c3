// Key to statement, rows to answer.
#include "sql-maps/lookup.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::sql_maps {

namespace {

std::string label(std::string const& table) {
    auto const escaped = replace_all(replace_all(table, "\\", "\\\\"), "\"", "\\\"");
    return fmt::format("table=\"{}\"", printable(escaped, 400));
}

Counter& lookups(Metrics& metrics, std::string const& table, std::string_view result) {
    return metrics.counter("postern_lookups_total", "Lookups by table and result.",
                           fmt::format("{},result=\"{}\"", label(table), result));
}

Counter& cache_uses(Metrics& metrics, std::string const& table, std::string_view kind) {
    return metrics.counter("postern_cache_answers_total",
                           "Lookups answered from memory: fresh, or stale while the database was away.",
                           fmt::format("{},kind=\"{}\"", label(table), kind));
}

} // namespace

Map::Map(MapFile file, Surroundings around, sql::Template query, ResultFormat format, DomainList domains,
         Needs needs)
    : file_(std::move(file)), around_(std::move(around)), query_(std::move(query)),
      format_(std::move(format)), domains_(std::move(domains)), needs_(needs),
      found_(lookups(around_.metrics, file_.table(), "found")),
      not_found_(lookups(around_.metrics, file_.table(), "not_found")),
      failed_(lookups(around_.metrics, file_.table(), "failed")),
      cached_(cache_uses(around_.metrics, file_.table(), "fresh")),
      stale_(cache_uses(around_.metrics, file_.table(), "stale")) {}

Result<std::shared_ptr<Map>> Map::make(MapFile file, Surroundings around) {
    Needs needs;
    auto query = sql::Template::parse(file.query, file.driver, scan_variable);
    if (!query) return std::unexpected(std::move(query).error().within("query"));
    for (auto const& letter : query->variables()) needs.of_query(letter);
    auto format = ResultFormat::parse(file.result_format, needs);
    if (!format) return std::unexpected(std::move(format).error().within("result_format"));
    auto domains = DomainList::parse(file.domain);
    if (!domains) return std::unexpected(std::move(domains).error());
    return std::shared_ptr<Map>(new Map(std::move(file), std::move(around), std::move(*query),
                                        std::move(*format), std::move(*domains), needs));
}

std::vector<std::string> Map::warnings() const {
    std::vector<std::string> out;
    for (auto const& name : query_.bare_variables())
        out.push_back(
            fmt::format("query: %{} stands outside quotes, so that its value cannot be bound: a key "
                        "from a stranger becomes part of the statement; write '%{}'",
                        name, name));
    return out;
}

Result<Answer> Map::lookup(std::string_view key, Deadline deadline, Trace* trace) const {
    auto begun = begin(key, deadline);
    if (auto* const answer = std::get_if<Result<Answer>>(&begun)) return std::move(*answer);
    auto const& asking = std::get<Asking>(begun);
    auto const& [statement, values] = asking.bound;
    if (trace != nullptr) {
        trace->statement = sql::with_placeholders(statement, file_.driver);
        trace->values = values;
    }
    auto const asked = Deadline::Clock::now();
    auto const rows = around_.pool->query(statement, values, deadline);
    went(Deadline::Clock::now() - asked, rows.has_value());
    if (trace != nullptr && rows) trace->server = rows->server;
    return finish(asking, rows);
}

std::variant<Result<Answer>, Asking> Map::begin(std::string_view key, Deadline deadline) const {
    auto const failed = [this](Error error) {
        failed_.add();
        return Result<Answer>(std::unexpected(std::move(error)));
    };
    auto const admitted = domains_.admits(key, around_.lookup);
    if (!admitted) return failed(admitted.error());
    auto parts = *admitted ? Key::make(key, needs_) : std::nullopt;
    if (!parts) {
        not_found_.add();
        return Result<Answer>(Answer());
    }
    auto const& cache = around_.cache;
    if (cache)
        if (auto known = cache->fresh(parts->text(), AnswerCache::Clock::now())) {
            cached_.add();
            (known->answer ? found_ : not_found_).add();
            return Result<Answer>(std::move(known->answer));
        }
    auto bound =
        query_.bind([&](std::string_view name) -> Result<std::string> { return parts->variable(name[0]); },
                    [&](std::string_view text) { return sql::escape(file_.driver, text); });
    if (!bound) return failed(std::move(bound).error());
    return Asking{std::move(*parts), std::move(*bound), deadline, cache ? cache->epoch() : 0};
}

Result<Answer> Map::finish(Asking const& asking, Result<sql::Rows> const& rows) const {
    auto answer = answer_or_stale(asking, rows);
    (answer ? *answer ? found_ : not_found_ : failed_).add();
    return answer;
}

// A permanent error is the query's or the answer's own fault, and no old answer hides it.
Result<Answer> Map::answer_or_stale(Asking const& asking, Result<sql::Rows> const& rows) const {
    auto const& key = asking.key;
    auto answer = rows ? answer_of(*rows, key) : std::unexpected(rows.error());
    auto const& cache = around_.cache;
    if (!cache) return answer;
    auto const now = AnswerCache::Clock::now();
    if (answer) {
        cache->remember(key.text(), *answer, now, asking.epoch);
    } else if (answer.error().kind == ErrorKind::temporary) {
        auto known = cache->stale(key.text(), now);
        if (!known) return answer;
        stale_.add();
        around_.log.warning(
            "table \"{}\": stale answer for \"{}\", {} s old: {}", file_.table(), printable(key.text()),
            std::chrono::duration_cast<std::chrono::seconds>(known->age).count(), answer.error().text);
        return std::move(known->answer);
    }
    return answer;
}

void Map::went(std::chrono::nanoseconds took, bool well) const {
    bool const smooth = well && took < sql::batch_patience / 4;
    if (smooth_ != smooth) smooth_ = smooth; // written seldom: every worker reads it
}

// Every column of every row for PostgreSQL and MariaDB, the first column for SQLite.
Result<Answer> Map::answer_of(sql::Rows const& rows, Key const& key) const {
    bool const needs_set = file_.driver == sql::Driver::mariadb && file_.require_result_set;
    if (rows.columns.empty() && needs_set)
        return permanent("the query gives no result set; set require_result_set = no if that is meant");
    std::string joined;
    int values = 0;
    for (auto const& row : rows.rows) {
        auto const columns = file_.driver == sql::Driver::sqlite && !row.empty() ? 1 : row.size();
        for (std::size_t i = 0; i < columns; ++i) {
            // libpq gives NULL as an empty string, and so Postfix takes it for one; nothing is lost by it.
            if (!row[i]) continue;
            if (row[i]->empty()) {
                around_.log.warning("table \"{}\": empty lookup result for: \"{}\" -- ignored", file_.table(),
                                    printable(key.text()));
                continue;
            }
            auto const value = format_.apply(*row[i], key, needs_);
            if (!value) continue;
            if (file_.expansion_limit > 0 && ++values > file_.expansion_limit)
                return permanent(
                    fmt::format("Expansion limit exceeded for key: '{}'", printable(key.text())));
            if (!joined.empty()) joined += ',';
            joined += *value;
        }
    }
    return joined.empty() ? Answer() : Answer(std::move(joined));
}

} // namespace postern::sql_maps
