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

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern::sql_maps {

// What `sql-maps -q` tells about a lookup.
struct Trace {
    std::string statement; // with placeholders; empty: the database was not asked
    std::vector<std::string> values;
    std::string server;
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
    Result<Answer> ask_or_remember(Key const& key, Deadline deadline, Trace* trace) const;
    Result<Answer> ask(Key const& key, Deadline deadline, Trace* trace) const;
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
};

} // namespace postern::sql_maps
