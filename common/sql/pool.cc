// The pool: queries, each with a connection for its time.
#include "common/sql/pool_impl.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::sql {

namespace {

std::string label(std::string_view name, std::string_view value) {
    auto const escaped = replace_all(replace_all(value, "\\", "\\\\"), "\"", "\\\"");
    return fmt::format("{}=\"{}\"", name, printable(escaped, 400));
}

} // namespace

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
}

Pool::Impl::~Impl() {
    {
        std::lock_guard const lock(mutex_);
        stopping_ = true;
    }
    reaper_wake_.notify_all();
    if (reaper_.joinable()) reaper_.join();
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

// Without memory the lease goes, and its place with it; else the pool would be short of one for ever.
template <class Question>
std::invoke_result_t<Question> Pool::Impl::ask(Lease& lease, Question const& question) {
    busy_.add(1);
    try {
        auto answer = question();
        busy_.add(-1);
        return answer;
    } catch (...) {
        busy_.add(-1);
        give_up(std::move(lease), Error{}, false);
        throw;
    }
}

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
    auto const done = ask(*lease, [&] { return lease->connection->query_all(queries, tally); });
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
        auto rows = ask(*lease, [&] { return lease->connection->query(statement, values, deadline); });
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
