// One table: a key in, the answer that Postfix's own driver would give out.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/sql/pool.h"
#include "common/sql/template.h"
#include "sql-maps/answer.h"
#include "sql-maps/answer_cache.h"
#include "sql-maps/domain_list.h"
#include "sql-maps/expansion.h"
#include "sql-maps/map_file.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace postern::sql_maps {

// What `sql-maps -q` tells about a lookup.
struct Trace {
    std::string statement; // with placeholders; empty: the database was not asked
    std::vector<std::string> values;
    std::string server;
};

// A lookup that the database is to answer.
struct Asking {
    Key key;
    sql::Template::Bound bound;
    Deadline deadline;
    std::size_t epoch = 0; // of the cache, from before the question
};

// Thread-safe.
class Map {
  public:
    // What a map needs of the program around it.
    struct Surroundings {
        std::shared_ptr<sql::Pool> pool;
        DomainList::TableLookup lookup; // for domain lists that name tables
        Log& log;
        Metrics& metrics;
        std::shared_ptr<AnswerCache> cache = nullptr; // absent: nothing is remembered
    };
    static Result<std::shared_ptr<Map>> make(MapFile file, Surroundings around);

    // Any error means "could not be found out": the database is away (temporary) or refuses the query, or the
    // answer is over the expansion limit (permanent). Postfix gets a retry for both.
    Result<Answer> lookup(std::string_view key, Deadline deadline, Trace* trace = nullptr) const;

    // The same in two steps, for lookups that are asked together. The first has the answer already, or says
    // what to ask pool().
    std::variant<Result<Answer>, Asking> begin(std::string_view key, Deadline deadline) const;
    Result<Answer> finish(Asking const& asking, Result<sql::Rows> const& rows) const;
    sql::Pool& pool() const { return *around_.pool; }
    // False: asking its domain list takes a database, too, or its last lookup took long or failed; then each
    // of its lookups is one for itself.
    bool goes_together() const { return smooth_ && !domains_.asks_tables(); }
    void went(std::chrono::nanoseconds took, bool well) const;

    MapFile const& file() const { return file_; }
    DomainList const& domains() const { return domains_; }
    // What the configuration check has to say: variables outside quotes.
    std::vector<std::string> warnings() const;
    void forget() const { // the answers that are remembered
        if (around_.cache) around_.cache->flush();
    }

  private:
    Map(MapFile file, Surroundings around, sql::Template query, ResultFormat format, DomainList domains,
        Needs needs);
    Result<Answer> answer_or_stale(Asking const& asking, Result<sql::Rows> const& rows) const;
    Result<Answer> answer_of(sql::Rows const& rows, Key const& key) const;

    MapFile file_;
    Surroundings around_;
    sql::Template query_;
    ResultFormat format_;
    DomainList domains_;
    Needs needs_;
    Counter& found_;
    Counter& not_found_;
    Counter& failed_;
    Counter& cached_;
    Counter& stale_;
    mutable std::atomic<bool> smooth_{true};
};

} // namespace postern::sql_maps
