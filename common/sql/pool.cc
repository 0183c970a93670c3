// The pool: leases of connections, the state of each host, and a thread that closes what idles.
#include "common/sql/pool.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <random>
#include <thread>

namespace postern::sql {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

std::string label(std::string_view name, std::string_view value) {
    auto const escaped = replace_all(replace_all(value, "\\", "\\\\"), "\"", "\\\"");
    return fmt::format("{}=\"{}\"", name, printable(escaped, 400));
}

constexpr auto all_down_pause = milliseconds(100); // before a host is tried again while none answers

// Postfix's preference: sockets, then names and addresses, then URIs.
int rank(ServerSettings const& server) {
    if (server.host.contains("://")) return 2;
    return server.host.empty() || server.host.starts_with('/') || server.host == "localhost" ? 0 : 1;
}

struct Host {
    Host(ServerSettings settings, Gauge& gauge)
        : server(std::move(settings)), name(server.to_string()), up(gauge) {}

    ServerSettings server;
    std::string name;
    Gauge& up;
    bool down = false;
    Clock::time_point tried;   // when it was last found down, or is being tried again
    Clock::time_point counted; // when it last failed so that the log says so and the interval grew
    milliseconds interval{0};  // how long it is left alone after that
    std::string last_error;
};

struct Lease {
    std::unique_ptr<Connection> connection;
    std::size_t host = 0;
    bool fresh = false; // made for this query
};

struct Idle {
    std::unique_ptr<Connection> connection;
    std::size_t host = 0;
    Clock::time_point since;
};

// A query in the queue. The one that waits longest gets the next connection, or the room to make one.
struct Waiter {
    std::condition_variable woken;
    bool called = false;
    std::optional<Lease> lease;
};

} // namespace

class Pool::Impl {
  public:
    Impl(PoolSettings settings, Log& log, Metrics& metrics);
    ~Impl();

    Result<Rows> query(Statement const& statement, std::span<std::string const> values, Deadline deadline);
    void query_all(std::span<Query const> queries, Answers& answers);
    Driver driver() const { return driver_; }

  private:
    using Lock = std::unique_lock<std::mutex>;
    Result<Rows> try_query(Statement const& statement, std::span<std::string const> values,
                           Deadline deadline);
    Result<Lease> acquire(Deadline deadline);
    std::optional<Lease> take_idle(Lock& lock);
    Result<std::optional<Lease>> wait(Lock& lock, Deadline deadline);
    void call_next(std::optional<Lease> lease = {});
    void make_room();
    Result<std::optional<Lease>> connect_one(Lock& lock, Deadline deadline);
    std::optional<std::size_t> choose_host();
    void give_back(Lease lease);
    void give_up(Lease lease, Error const& error, bool host_is_to_blame);
    void host_failed(Host& host, Error const& error);
    void host_answers(Host& host);
    std::string why_all_down() const;
    void close_idle();

    Counter& batched();

    PoolSettings settings_;
    Log& log_;
    Metrics& metrics_;
    Driver driver_;
    Gauge& open_;
    Gauge& busy_;
    Counter& answered_;
    Counter& refused_;
    Counter& failed_;
    Histogram& seconds_;
    std::atomic<Counter*> batched_{nullptr};

    std::mutex mutex_;            // guards everything below
    std::deque<Waiter*> waiters_; // the longest waiting first; each waits in wait()
    std::condition_variable reaper_wake_;
    std::vector<Host> hosts_;
    std::vector<Idle> idle_;     // the longest unused first
    std::size_t total_ = 0;      // idle, leased and being made
    std::size_t connecting_ = 0; // being made
    bool stopping_ = false;
    std::minstd_rand random_{std::random_device{}()};
    std::thread reaper_;
};

Pool::Impl::Impl(PoolSettings settings, Log& log, Metrics& metrics)
    : settings_(std::move(settings)), log_(log), metrics_(metrics),
      driver_(settings_.servers.empty() ? Driver::sqlite : settings_.servers.front().driver),
      open_(metrics.gauge("postern_sql_connections", "Open database connections.",
                          label("pool", settings_.name))),
      busy_(metrics.gauge("postern_sql_connections_busy", "Database connections with a query running.",
                          label("pool", settings_.name))),
      answered_(metrics.counter("postern_sql_queries_total", "Queries by result.",
                                label("pool", settings_.name) + ",result=\"ok\"")),
      refused_(metrics.counter("postern_sql_queries_total", "Queries by result.",
                               label("pool", settings_.name) + ",result=\"refused\"")),
      failed_(metrics.counter("postern_sql_queries_total", "Queries by result.",
                              label("pool", settings_.name) + ",result=\"failed\"")),
      seconds_(metrics.histogram("postern_sql_query_seconds",
                                 "Time from asking the pool to its answer, with all waiting.",
                                 label("pool", settings_.name))) {
    for (auto const& server : settings_.servers) {
        auto& up = metrics.gauge("postern_sql_host_up", "1: answers or not tried yet; 0: down.",
                                 label("pool", settings_.name) + "," + label("host", server.to_string()));
        up.set(1);
        hosts_.emplace_back(server, up);
    }
    reaper_ = std::thread([this] { close_idle(); });
}

Pool::Impl::~Impl() {
    {
        std::lock_guard const lock(mutex_);
        stopping_ = true;
    }
    reaper_wake_.notify_all();
    reaper_.join();
    open_.add(-static_cast<std::int64_t>(idle_.size()));
}

Result<Rows> Pool::Impl::query(Statement const& statement, std::span<std::string const> values,
                               Deadline deadline) {
    auto const begun = Clock::now();
    auto rows = try_query(statement, values, deadline);
    seconds_.observe(std::chrono::duration<double>(Clock::now() - begun).count());
    (rows ? answered_ : rows.error().kind == ErrorKind::permanent ? refused_ : failed_).add();
    return rows;
}

namespace {

// Passes on what the connection says, and knows what it did not say.
class Tally final : public Answers {
  public:
    Tally(Answers& to, std::string const& server, std::size_t count)
        : to_(to), server_(server), open_(count, true) {}
    void answer(std::size_t which, Result<Rows> rows) override {
        open_[which] = false;
        if (rows) rows->server = server_;
        ++(rows ? answered : rows.error().kind == ErrorKind::permanent ? refused : failed);
        to_.answer(which, std::move(rows));
    }
    void take_back(std::vector<std::size_t> which) override {
        for (auto const each : which) open_[each] = false;
        to_.take_back(std::move(which));
    }
    bool is_open(std::size_t which) const { return open_[which]; }

    std::size_t answered = 0;
    std::size_t refused = 0;
    std::size_t failed = 0;

  private:
    Answers& to_;
    std::string const& server_;
    std::vector<bool> open_;
};

} // namespace

// Only the programs that ask several at once have it.
Counter& Pool::Impl::batched() {
    if (batched_ == nullptr)
        batched_ = &metrics_.counter("postern_sql_batched_queries_total",
                                     "Queries that went to the database together with others.",
                                     label("pool", settings_.name));
    return *batched_;
}

// What a connection that failed left is asked again like any other query.
void Pool::Impl::query_all(std::span<Query const> queries, Answers& answers) {
    if (queries.empty()) return;
    auto const begun = Clock::now();
    auto lease = acquire(queries.front().deadline);
    if (!lease) {
        failed_.add(queries.size());
        for (std::size_t i = 0; i < queries.size(); ++i) answers.answer(i, std::unexpected(lease.error()));
        return;
    }
    batched().add(queries.size());
    Tally tally(answers, hosts_[lease->host].name, queries.size());
    busy_.add(1);
    auto const done = lease->connection->query_all(queries, tally);
    busy_.add(-1);
    bool const late =
        std::ranges::all_of(queries, [](Query const& query) { return query.deadline.expired(); });
    bool const failed = !done && done.error().kind != ErrorKind::permanent;
    bool const blame = failed && (late ? settings_.servers.size() > 1 : lease->fresh);
    if (done)
        give_back(std::move(*lease));
    else
        give_up(std::move(*lease), done.error(), blame);
    auto const took = std::chrono::duration<double>(Clock::now() - begun).count();
    for (auto i = tally.answered + tally.refused + tally.failed; i > 0; --i) seconds_.observe(took);
    answered_.add(tally.answered);
    refused_.add(tally.refused);
    failed_.add(tally.failed);
    for (std::size_t i = 0; i < queries.size(); ++i)
        if (tally.is_open(i))
            answers.answer(i, query(*queries[i].statement, queries[i].values, queries[i].deadline));
}

// An old connection that fails says only that it is old: all of its host's go, and the statement is run once
// more. A new one that fails speaks for its host, and another host is tried.
Result<Rows> Pool::Impl::try_query(Statement const& statement, std::span<std::string const> values,
                                   Deadline deadline) {
    auto const several = settings_.servers.size() > 1;
    auto const begun = Clock::now();
    for (std::size_t tries = 0;; ++tries) {
        auto lease = acquire(deadline);
        if (!lease) return std::unexpected(std::move(lease).error());
        auto const asked = Clock::now();
        busy_.add(1);
        auto rows = lease->connection->query(statement, values, deadline);
        busy_.add(-1);
        if (rows || rows.error().kind == ErrorKind::permanent) {
            if (rows) rows->server = hosts_[lease->host].name;
            give_back(std::move(*lease));
            return rows;
        }
        // A host is not slow when the time went by in the queue for it.
        bool const late = deadline.expired();
        bool const slow = Clock::now() - asked > asked - begun;
        bool const blame = late ? several && slow : lease->fresh;
        give_up(std::move(*lease), rows.error(), blame);
        if (late || tries > settings_.servers.size()) return rows;
    }
}

Result<Lease> Pool::Impl::acquire(Deadline deadline) {
    Lock lock(mutex_);
    while (true) {
        if (auto lease = take_idle(lock)) return std::move(*lease);
        bool const room = total_ < std::max<std::size_t>(settings_.size, 1);
        auto got = room ? connect_one(lock, deadline) : wait(lock, deadline);
        if (!got) return std::unexpected(std::move(got).error());
        if (*got) return std::move(**got);
    }
}

// Absent: there is room for a connection now, and the caller looks again.
Result<std::optional<Lease>> Pool::Impl::wait(Lock& lock, Deadline deadline) {
    Waiter me;
    waiters_.push_back(&me);
    auto const called = [&me] { return me.called; };
    if (deadline.is_never())
        me.woken.wait(lock, called);
    else if (!me.woken.wait_until(lock, deadline.point(), called)) {
        std::erase(waiters_, &me);
        if (total_ < settings_.size) return temporary("no database host answered in time");
        return temporary(fmt::format("no database connection was free in time; all {} are busy and {} more "
                                     "lookups wait: raise pool_size, or look for slow queries",
                                     settings_.size, waiters_.size()));
    }
    return std::move(me.lease);
}

// With a connection that is free, or without: then there is room for one.
void Pool::Impl::call_next(std::optional<Lease> lease) {
    auto& next = *waiters_.front();
    waiters_.pop_front();
    next.called = true;
    next.lease = std::move(lease);
    next.woken.notify_one(); // under the lock: the waiter lives until it gets it
}

void Pool::Impl::make_room() {
    --total_;
    if (!waiters_.empty()) call_next();
}

// The connection used last, so that those above the usual need grow old and are closed.
std::optional<Lease> Pool::Impl::take_idle(Lock& lock) {
    while (!idle_.empty()) {
        auto last = std::move(idle_.back());
        idle_.pop_back();
        lock.unlock();
        bool const good = last.connection->healthy();
        if (!good) last.connection.reset();
        lock.lock();
        if (good) return Lease{std::move(last.connection), last.host, false};
        open_.add(-1);
        make_room();
    }
    return std::nullopt;
}

// Absent: that host failed, and the caller looks again.
Result<std::optional<Lease>> Pool::Impl::connect_one(Lock& lock, Deadline deadline) {
    bool const late = deadline.expired();
    auto const chosen = late ? std::nullopt : choose_host();
    // Another lookup is about to find out whether a host is back.
    if (!chosen && !late && connecting_ > 0) return wait(lock, deadline);
    if (!chosen) {
        // Those who wait get the same answer, not a wait for a connection that nobody makes.
        if (!waiters_.empty()) call_next();
        return temporary(late ? "the time limit passed before a connection was made" : why_all_down());
    }
    auto& host = hosts_[*chosen]; // never moves: hosts_ does not grow
    ++total_;
    ++connecting_;
    lock.unlock();
    auto made = settings_.connector(host.server, deadline.or_after(settings_.connect_timeout));
    lock.lock();
    --connecting_;
    if (made) {
        open_.add(1);
        host_answers(host);
        for (auto room = settings_.size - std::min(settings_.size, total_); room > 0 && !waiters_.empty();
             --room)
            call_next();
        return Lease{std::move(*made), *chosen, true};
    }
    make_room();
    host_failed(host, made.error());
    return std::nullopt;
}

std::optional<std::size_t> Pool::Impl::choose_host() {
    auto const now = Clock::now();
    bool const any_up = std::ranges::any_of(hosts_, [](Host const& host) { return !host.down; });
    std::vector<std::size_t> best;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        auto const& host = hosts_[i];
        auto const pause = any_up ? host.interval : std::min(settings_.retry_interval, all_down_pause);
        if (host.down && now < host.tried + pause) continue;
        if (!best.empty() && rank(host.server) > rank(hosts_[best.front()].server)) continue;
        if (!best.empty() && rank(host.server) < rank(hosts_[best.front()].server)) best.clear();
        best.push_back(i);
    }
    if (best.empty()) return std::nullopt;
    auto const chosen = best[std::uniform_int_distribution<std::size_t>(0, best.size() - 1)(random_)];
    hosts_[chosen].tried = now; // one at a time tries a host that is down
    return chosen;
}

void Pool::Impl::host_answers(Host& host) {
    if (host.down)
        log_.notice("{} server {} answers again; pool={}", to_string(driver_), host.name, settings_.name);
    host.down = false;
    host.interval = milliseconds(0);
    host.up.set(1);
}

// Failures that follow each other quickly, of many lookups or of tries while nothing else answers, count as
// one.
void Pool::Impl::host_failed(Host& host, Error const& error) {
    auto const now = Clock::now();
    bool const counts = !host.down || now >= host.counted + settings_.retry_interval;
    host.tried = now;
    host.last_error = error.text;
    host.up.set(0);
    host.down = true;
    if (!counts) return;
    host.counted = now;
    host.interval = host.interval.count() == 0
                        ? settings_.retry_interval
                        : std::min(host.interval * 2, settings_.longest_retry_interval);
    // The drivers' errors begin with the host's name, and this line has it already.
    std::string_view why = error.text;
    if (why.starts_with(host.name + ": ")) why.remove_prefix(host.name.size() + 2);
    log_.warning("connect to {} server {}: {}; pool={} retry_in={}ms", to_string(driver_), host.name,
                 printable(why, 500), settings_.name, host.interval.count());
}

std::string Pool::Impl::why_all_down() const {
    if (hosts_.empty()) return "no database host is configured";
    auto const latest = std::ranges::max_element(hosts_, {}, &Host::tried);
    return fmt::format("no database host answers; the last one tried was {}",
                       latest->last_error.empty() ? latest->name : latest->last_error);
}

void Pool::Impl::give_back(Lease lease) {
    std::lock_guard const lock(mutex_);
    lease.fresh = false;
    if (!waiters_.empty()) return call_next(std::move(lease));
    idle_.push_back({std::move(lease.connection), lease.host, Clock::now()});
    // With others idle the reaper already waits for the oldest of them.
    if (idle_.size() == 1) reaper_wake_.notify_one();
}

void Pool::Impl::give_up(Lease lease, Error const& error, bool host_is_to_blame) {
    lease.connection.reset();
    std::vector<Idle> gone;
    std::lock_guard const lock(mutex_);
    auto const first = std::ranges::stable_partition(idle_, [&](Idle const& idle) {
                           return idle.host != lease.host;
                       }).begin();
    gone.assign(std::move_iterator(first), std::move_iterator(idle_.end()));
    idle_.erase(first, idle_.end());
    open_.add(-1 - static_cast<std::int64_t>(gone.size()));
    if (host_is_to_blame) host_failed(hosts_[lease.host], error);
    for (auto room = 1 + gone.size(); room > 0; --room) make_room();
}

// The reaper's thread: closes what nobody used for idle_time.
void Pool::Impl::close_idle() {
    Lock lock(mutex_);
    while (!stopping_) {
        if (idle_.empty()) {
            reaper_wake_.wait(lock);
            continue;
        }
        auto const until = idle_.front().since + settings_.idle_time;
        if (Clock::now() < until) {
            reaper_wake_.wait_until(lock, until);
            continue;
        }
        auto old = std::move(idle_.front());
        idle_.erase(idle_.begin());
        open_.add(-1);
        make_room();
        lock.unlock();
        old.connection.reset(); // says goodbye to the server, which may take its time
        lock.lock();
    }
}

Pool::Pool(PoolSettings settings, Log& log, Metrics& metrics)
    : impl_(std::make_unique<Impl>(std::move(settings), log, metrics)) {}
Pool::~Pool() = default;

Result<Rows> Pool::query(Statement const& statement, std::span<std::string const> values, Deadline deadline) {
    return impl_->query(statement, values, deadline);
}

std::string Pool::escape(std::string_view text) const { return sql::escape(impl_->driver(), text); }

void Pool::query_all(std::span<Query const> queries, Answers& answers) { impl_->query_all(queries, answers); }

Driver Pool::driver() const { return impl_->driver(); }

} // namespace postern::sql
