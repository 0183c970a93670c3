// The tables that are in use: opened by name, checked, read again when the file changes, sharing pools.
#pragma once

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/sql/notifications.h"
#include "sql-maps/lookup.h"

#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include <sys/stat.h>

namespace postern::sql_maps {

struct MapLimits {
    std::vector<std::string> directories{"/etc/postfix"}; // .cf files elsewhere are refused
    std::size_t pool_size = 8;                            // connections for each set of servers
    std::chrono::milliseconds connect_timeout{3000};
    std::chrono::milliseconds query_timeout{10000}; // one lookup: waiting, connecting and asking together
    CacheSettings cache;
    std::vector<std::string> cache_tables; // the only ones with a cache; empty: all. Stale answers: all
    std::string cache_flush_channel;       // of PostgreSQL's NOTIFY; empty: nobody listens
};

// Thread-safe.
class Maps {
  public:
    // Asks the stock proxymap, for tables of other kinds in domain lists.
    Maps(MapLimits limits, DomainList::TableLookup stock, Log& log, Metrics& metrics);

    // "pgsql:/etc/postfix/x.cf". The error is permanent when the file may not be used or is wrong, and tells
    // why.
    Result<std::shared_ptr<Map const>> open(std::string_view table);

    // A lookup within query_timeout. What goes wrong is logged here; any error means "try again".
    Result<Answer> lookup(std::string_view table, std::string_view key, Trace* trace = nullptr);

    // For those who ask a map themselves: the time limit, and the log's line about what goes wrong.
    Deadline lookup_deadline() const { return Deadline::after(limits_.query_timeout); }
    void tell_failure(std::string_view table, std::string_view key, Result<Answer> const& answer) const;

    void forget(); // every answer that is remembered

  private:
    // When any of it changes, the file is read again.
    struct Identity {
        dev_t device = 0;
        ino_t inode = 0;
        off_t size = 0;
        timespec modified{};
        timespec changed{};
        bool operator==(Identity const& other) const;
    };
    struct Entry {
        Identity identity;
        std::shared_ptr<Map const> map;
    };
    // One set of servers, for all tables that name it.
    class Source;
    struct KnownSource {
        std::vector<sql::ServerSettings> servers;
        std::weak_ptr<Source> source;
    };
    static Identity identity_of(struct stat const& status);
    Result<std::string> may_use(std::string const& path) const; // the real path that was judged
    Result<std::shared_ptr<Map const>> load(TableName const& name);
    Result<Answer> lookup_domain(std::string const& table, std::string_view domain);
    std::shared_ptr<Source> source_for(MapFile const& file);
    std::shared_ptr<AnswerCache> cache_for(std::string const& table) const;

    MapLimits limits_;
    DomainList::TableLookup stock_;
    Log& log_;
    Metrics& metrics_;
    std::mutex mutex_; // guards the rest
    std::map<std::string, Entry, std::less<>> maps_;
    std::vector<KnownSource> sources_;
};

} // namespace postern::sql_maps
