// Who may name which file, and when it is read.
#include "sql-maps/maps.h"

#include "common/base/text.h"
#include "common/config/settings.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdlib>

namespace postern::sql_maps {

namespace {

constexpr std::size_t max_maps = 1000; // open at a time

std::optional<std::string> real_path(std::string const& path) {
    std::unique_ptr<char, decltype(&std::free)> const resolved(::realpath(path.c_str(), nullptr), &std::free);
    return resolved ? std::optional<std::string>(resolved.get()) : std::nullopt;
}

// Somebody besides root, us and root's group may change it.
bool strangers_may_write(struct stat const& status) {
    bool const ours = status.st_uid == 0 || status.st_uid == ::geteuid();
    bool const by_group = (status.st_mode & S_IWGRP) != 0 && status.st_gid != 0;
    bool const sticky_directory = S_ISDIR(status.st_mode) && (status.st_mode & S_ISVTX) != 0;
    bool const by_others = (status.st_mode & S_IWOTH) != 0;
    return !ours || ((by_group || by_others) && !sticky_directory);
}

} // namespace

bool Maps::Identity::operator==(Identity const& other) const {
    auto const same = [](timespec const& a, timespec const& b) {
        return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
    };
    return device == other.device && inode == other.inode && size == other.size &&
           same(modified, other.modified) && same(changed, other.changed);
}

Maps::Identity Maps::identity_of(struct stat const& status) {
    return {status.st_dev, status.st_ino, status.st_size, status.st_mtim, status.st_ctim};
}

// The connections to one set of servers, and the caches that its NOTIFY empties. Locks nothing of Maps: it
// may go while Maps is locked, and then waits for its listening thread.
class Maps::Source {
  public:
    Source(sql::PoolSettings settings, Log& log, Metrics& metrics)
        : servers_(settings.servers), log_(log), pool_(std::move(settings), log, metrics) {}
    sql::Pool& pool() { return pool_; }

    void flushes(std::string const& table, std::shared_ptr<AnswerCache> const& cache,
                 MapLimits const& limits) {
        std::lock_guard const lock(mutex_);
        std::erase_if(caches_, [](auto const& known) { return known.second.expired(); });
        caches_.emplace_back(table, cache);
        if (notifications_) return;
        sql::NotificationSettings how{servers_, limits.cache_flush_channel, limits.connect_timeout};
        notifications_.emplace(std::move(how), [this](auto const& payload) { heard(payload); }, log_);
    }

  private:
    // Nothing: something may have been missed. An empty payload: all tables. Else the table's file, with or
    // without its directory.
    void heard(std::optional<std::string> const& payload) {
        std::lock_guard const lock(mutex_);
        int flushed = 0;
        for (auto const& [table, known] : caches_) {
            auto const cache = known.lock();
            bool const meant = !payload || payload->empty() || table.ends_with(":" + *payload) ||
                               table.ends_with("/" + *payload);
            if (!cache || !meant) continue;
            cache->flush();
            ++flushed;
        }
        log_.info("cache_flushed tables={} reason=\"{}\"", flushed,
                  payload ? "NOTIFY " + printable(*payload, 200) : "listening anew");
    }

    std::vector<sql::ServerSettings> servers_;
    Log& log_;
    sql::Pool pool_;
    std::mutex mutex_; // guards caches_, and notifications_ while it is made
    std::vector<std::pair<std::string, std::weak_ptr<AnswerCache>>> caches_;
    std::optional<sql::Notifications> notifications_; // goes first
};

Maps::Maps(MapLimits limits, DomainList::TableLookup stock, Log& log, Metrics& metrics)
    : limits_(std::move(limits)), stock_(std::move(stock)), log_(log), metrics_(metrics) {}

Result<std::string> Maps::may_use(std::string const& path) const {
    auto const real = real_path(path);
    if (!real) return system_error(path, errno);
    std::optional<std::string> base;
    for (auto const& directory : limits_.directories)
        if (auto const each = real_path(directory); each && !base && real->starts_with(*each + "/"))
            base = each;
    if (!base)
        return permanent(fmt::format("{} is not below any of map_directories ({})", *real,
                                     join(limits_.directories, ", ")));
    // The file, and every directory from its own up to the one that the configuration names.
    for (auto each = *real; each.size() >= base->size(); each.resize(each.rfind('/'))) {
        struct stat status{};
        if (::stat(each.c_str(), &status) != 0) return system_error(each, errno);
        if (strangers_may_write(status))
            return permanent(fmt::format("{} may be changed by others than root: mode {:04o}, owner {}; its "
                                         "queries are not trusted",
                                         each, status.st_mode & 07777, status.st_uid));
    }
    return *real;
}

std::shared_ptr<Maps::Source> Maps::source_for(MapFile const& file) {
    std::erase_if(sources_, [](KnownSource const& known) { return known.source.expired(); });
    auto servers = file.servers;
    for (auto& server : servers)
        server.options.emplace_back("statement_timeout", std::to_string(limits_.query_timeout.count()));
    for (auto const& known : sources_)
        if (auto source = known.source.lock(); source && known.servers == servers) return source;
    sql::PoolSettings settings;
    settings.servers = servers;
    settings.size = limits_.pool_size;
    settings.connect_timeout = limits_.connect_timeout;
    settings.idle_time = file.idle_interval;
    settings.longest_retry_interval = file.retry_interval;
    settings.name = file.table();
    auto source = std::make_shared<Source>(std::move(settings), log_, metrics_);
    sources_.push_back({std::move(servers), source});
    return source;
}

std::shared_ptr<AnswerCache> Maps::cache_for(std::string const& table) const {
    auto cache = limits_.cache;
    bool const listed = limits_.cache_tables.empty() ||
                        std::ranges::find(limits_.cache_tables, table) != limits_.cache_tables.end();
    if (!listed) cache.positive = cache.negative = std::chrono::milliseconds(0);
    return cache.remembers() ? std::make_shared<AnswerCache>(cache) : nullptr;
}

// A table that stands in another's domain list. It may not itself ask a table, so that no two ask each other
// without end.
Result<Answer> Maps::lookup_domain(std::string const& table, std::string_view domain) {
    if (!parse_table_name(table)) return stock_(table, domain);
    auto const map = open(table);
    if (!map) return std::unexpected(map.error());
    if ((*map)->domains().asks_tables())
        return permanent(table + " has a domain list with tables in it, and cannot stand in one");
    return (*map)->lookup(domain, Deadline::after(limits_.query_timeout));
}

Result<std::shared_ptr<Map const>> Maps::load(TableName const& name) {
    auto const judged = may_use(name.path);
    if (!judged) return std::unexpected(judged.error());
    // Not the client's path again: a link in it may lead elsewhere by now.
    auto const content = config::read_file(*judged);
    if (!content) return std::unexpected(content.error());
    auto [file, problems] = parse_map_file(*content, name.driver, name.path);
    std::string errors;
    for (auto const& problem : problems)
        if (problem.severity == config::Problem::Severity::error)
            errors += (errors.empty() ? "" : "; ") + problem.to_string();
        else
            log_.warning("{}", problem.to_string());
    if (!errors.empty()) return permanent(errors);
    auto const source = source_for(file);
    auto const lookup = [this](std::string const& table, std::string_view key) {
        return lookup_domain(table, key);
    };
    auto const cache = cache_for(file.table());
    if (cache && name.driver == sql::Driver::postgresql && !limits_.cache_flush_channel.empty())
        source->flushes(file.table(), cache, limits_);
    // The pool lives as long as the whole source.
    std::shared_ptr<sql::Pool> const pool(source, &source->pool());
    auto map = Map::make(std::move(file), {pool, lookup, log_, metrics_, cache});
    if (!map) return std::unexpected(std::move(map).error().within(name.path));
    for (auto const& warning : (*map)->warnings()) log_.warning("{}: {}", name.path, warning);
    return std::shared_ptr<Map const>(std::move(*map));
}

Result<std::shared_ptr<Map const>> Maps::open(std::string_view table) {
    auto const name = parse_table_name(table);
    if (!name) return permanent(fmt::format("{} is not an SQL table", printable(table)));
    if (!name->path.starts_with('/'))
        return permanent(fmt::format("{}: the path is not absolute; tables inside main.cf are not read",
                                     printable(table)));
    struct stat status{};
    if (::stat(name->path.c_str(), &status) != 0) return system_error(name->path, errno);
    auto const identity = identity_of(status);
    std::lock_guard const lock(mutex_);
    auto const known = maps_.find(table);
    if (known != maps_.end() && known->second.identity == identity) return known->second.map;
    if (known == maps_.end() && maps_.size() >= max_maps) maps_.clear();
    auto map = load(*name);
    if (known != maps_.end() || map)
        log_.info("table={} {}", printable(table), map ? "read" : "cannot be used");
    // A file that cannot be used is looked at again each time: its directory's mode may be what changes.
    if (!map) {
        maps_.erase(std::string(table));
        return map;
    }
    maps_.insert_or_assign(std::string(table), Entry{identity, *map});
    return map;
}

void Maps::forget() {
    std::lock_guard const lock(mutex_);
    for (auto const& [table, entry] : maps_) entry.map->forget();
}

Result<Answer> Maps::lookup(std::string_view table, std::string_view key, Trace* trace) {
    auto const map = open(table);
    auto answer = map ? (*map)->lookup(key, lookup_deadline(), trace) : std::unexpected(map.error());
    tell_failure(table, key, answer);
    return answer;
}

void Maps::tell_failure(std::string_view table, std::string_view key, Result<Answer> const& answer) const {
    if (!answer)
        log_.warning("table \"{}\": lookup of \"{}\" failed, the client is to try again: {}",
                     printable(table), printable(key), answer.error().text);
}

} // namespace postern::sql_maps
