// Several statements on one connection to PostgreSQL at once.
#include "common/sql/postgres.h"

namespace postern::sql::postgres {

// Only what was prepared before, so that nothing has to be found out on the way.
PostgresConnection::Known const* PostgresConnection::prepared(Query const& query) const {
    if (!prepares_) return nullptr;
    for (auto const& value : query.values)
        if (value.contains('\0')) return nullptr;
    auto const entry = known_.find(with_placeholders(*query.statement, Driver::postgresql));
    return entry != known_.end() && !entry->second.name.empty() ? &entry->second : nullptr;
}

// Statements written in one go and read in one go (libpq's pipeline mode), so that both sides wake once. They
// are one transaction: after a statement that fails the server passes over the rest, and all of these are
// asked singly.
class PostgresConnection::Pipeline {
  public:
    Pipeline(PostgresConnection& connection, std::span<Query const> queries, Answers& answers)
        : connection_(connection), handle_(connection.handle_.get()), queries_(queries), answers_(answers) {}
    void add(std::size_t which, Known const& known);
    std::size_t size() const { return sent_.size(); }
    Result<> run();

  private:
    struct Sent {
        std::size_t which;
        std::string const* name;
    };
    bool send(Sent const& sent);
    Result<> wait(short events);
    void lose_patience();
    Result<ResultHandle> next();
    Result<> collect();

    PostgresConnection& connection_;
    PGconn* handle_;
    std::span<Query const> queries_;
    Answers& answers_;
    std::vector<Sent> sent_;
    std::vector<char const*> pointers_;
    std::size_t done_ = 0; // of sent_
    bool patient_ = true;  // false: somebody else asks the rest, and what still comes is dropped
    Deadline patience_ = Deadline::never();
    Deadline last_ = Deadline::never();
};

void PostgresConnection::Pipeline::add(std::size_t which, Known const& known) {
    auto const& deadline = queries_[which].deadline;
    last_ = sent_.empty() || last_.point() < deadline.point() ? deadline : last_;
    sent_.push_back({which, &known.name});
}

bool PostgresConnection::Pipeline::send(Sent const& sent) {
    auto const& values = queries_[sent.which].values;
    pointers_.clear();
    for (auto const& value : values) pointers_.push_back(value.c_str());
    return PQsendQueryPrepared(handle_, sent.name->c_str(), static_cast<int>(values.size()), pointers_.data(),
                               nullptr, nullptr, 0) != 0;
}

Result<> PostgresConnection::Pipeline::run() {
    patience_ = Deadline::after(batch_patience);
    if (PQenterPipelineMode(handle_) == 0) return connection_.broken();
    for (auto const& each : sent_)
        if (!send(each)) return connection_.broken();
    if (PQpipelineSync(handle_) == 0) return connection_.broken();
    for (int left = 1; (left = PQflush(handle_)) != 0;) {
        if (left < 0) return connection_.broken();
        if (auto ready = wait(POLLIN | POLLOUT); !ready) return ready;
    }
    if (auto done = collect(); !done) return done;
    if (PQexitPipelineMode(handle_) == 0) return connection_.broken();
    return {};
}

Result<> PostgresConnection::Pipeline::wait(short events) {
    auto const& until = patient_ ? Deadline::earlier(patience_, last_) : last_;
    if (!wait_for(PQsocket(handle_), events, until)) {
        if (!patient_ || last_.expired()) return connection_.late();
        lose_patience();
        return {};
    }
    if (PQconsumeInput(handle_) == 0) return connection_.broken();
    return {};
}

void PostgresConnection::Pipeline::lose_patience() {
    patient_ = false;
    std::vector<std::size_t> rest;
    for (auto i = done_; i < sent_.size(); ++i) rest.push_back(sent_[i].which);
    answers_.take_back(std::move(rest));
}

Result<ResultHandle> PostgresConnection::Pipeline::next() {
    while (PQisBusy(handle_) != 0)
        if (auto ready = wait(POLLIN); !ready) return std::unexpected(std::move(ready).error());
    return ResultHandle(PQgetResult(handle_));
}

Result<> PostgresConnection::Pipeline::collect() {
    while (true) {
        auto result = next();
        if (!result) return std::unexpected(std::move(result).error());
        auto const status = *result ? PQresultStatus(result->get()) : PGRES_EMPTY_QUERY;
        if (status == PGRES_PIPELINE_SYNC) return {};
        if (PQstatus(handle_) != CONNECTION_OK) return connection_.broken();
        if (!*result) { // ends each statement's results
            ++done_;
            continue;
        }
        if (!patient_ || done_ >= sent_.size()) continue;
        if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) continue;
        answers_.answer(sent_[done_].which, connection_.rows_of(result->get()));
    }
}

Result<> PostgresConnection::query_all(std::span<Query const> queries, Answers& answers) {
    Pipeline pipeline(*this, queries, answers);
    for (std::size_t i = 0; i < queries.size(); ++i)
        if (auto const* entry = prepared(queries[i])) pipeline.add(i, *entry);
    return pipeline.size() > 1 ? pipeline.run() : Result<>();
}

} // namespace postern::sql::postgres
