// Several statements on one connection to MariaDB at once.
#include "common/sql/mariadb.h"

#include <algorithm>
#include <cerrno>
#include <type_traits>

namespace postern::sql::mariadb {

namespace {

// What the shortest answer has: a packet that says "OK", or a count of columns and an end.
constexpr std::size_t least_answer = 11;
constexpr std::size_t least_rows = 16;
constexpr std::size_t max_pipelined = 16'384; // octets that are sent before an answer is read

} // namespace

// Statements written in one go, so that the server finds the next one when it has answered one, and neither
// side sleeps between. The library knows nothing of that: it executes each statement twice, once to hand its
// bytes to us instead of the socket, and once, when all are sent, to read what the server said to it.
class MariadbConnection::Pipeline {
  public:
    Pipeline(MariadbConnection& connection, std::span<Query const> queries, Answers& answers)
        : connection_(connection), handle_(connection.handle_.get()), queries_(queries), answers_(answers) {
        way_.table = *handle_->methods;
        way_.table.db_command = &command;
        way_.library = handle_->methods;
        handle_->methods = &way_.table;
    }
    ~Pipeline() { end(); }
    Result<> run();
    // Gives the library its own way back, and says which statements are to be prepared anew.
    std::vector<MYSQL_STMT*> end() {
        handle_->methods = way_.library;
        return std::move(failed_);
    }

  private:
    struct Way { // how the library sends a command, in the place of its own; begins with the table
        st_mariadb_methods table;
        st_mariadb_methods const* library = nullptr;
        std::string bytes;    // of the commands
        bool is_sent = false; // they have gone to the server
    };
    struct Sent {
        std::size_t which;
        MYSQL_STMT* statement;
    };
    static int command(MYSQL* handle, enum_server_command what, char const* argument, std::size_t length,
                       my_bool, void*);
    void collect();
    Result<> send();
    Result<> receive(Sent const& sent);
    void lose_patience();

    MariadbConnection& connection_;
    MYSQL* handle_;
    std::span<Query const> queries_;
    Answers& answers_;
    Way way_;
    std::vector<Sent> sent_;
    std::size_t done_ = 0;   // of sent_
    std::size_t wanted_ = 0; // of sent_; others ask what comes behind these
    std::size_t least_answer_ = least_rows;
    std::vector<MYSQL_STMT*> failed_;
};

int MariadbConnection::Pipeline::command(MYSQL* handle, enum_server_command what, char const* argument,
                                         std::size_t length, my_bool, void*) {
    static_assert(std::is_standard_layout_v<st_mariadb_methods>);
    auto& way = *reinterpret_cast<Way*>(const_cast<st_mariadb_methods*>(handle->methods));
    if (way.is_sent) {
        handle->net.pkt_nr = 1; // the reply counts on from the command
        return 0;
    }
    // A packet: its length in three octets, its number, and what is in it.
    auto const size = length + 1;
    for (int shift = 0; shift < 24; shift += 8) way.bytes += static_cast<char>((size >> shift) & 0xff);
    way.bytes += '\0';
    way.bytes += static_cast<char>(what);
    way.bytes.append(argument, length);
    return 1; // the library reads no reply
}

void MariadbConnection::Pipeline::collect() {
    for (std::size_t i = 0; i < queries_.size() && way_.bytes.size() < max_pipelined; ++i) {
        auto const known =
            connection_.prepared_.find(with_placeholders(*queries_[i].statement, Driver::mariadb));
        if (known == connection_.prepared_.end()) continue;
        std::size_t octets = 0;
        for (auto const& value : queries_[i].values) octets += value.size();
        if (octets > max_pipelined || !connection_.bind(known->second.get(), queries_[i].values)) continue;
        auto const before = way_.bytes.size();
        mysql_stmt_execute(known->second.get());
        if (way_.bytes.size() > before) sent_.push_back({i, known->second.get()});
        if (mysql_stmt_field_count(known->second.get()) == 0) least_answer_ = least_answer;
    }
    way_.is_sent = true;
}

Result<> MariadbConnection::Pipeline::send() {
    std::string_view rest = way_.bytes;
    while (!rest.empty()) {
        auto const size =
            ::send(mysql_get_socket(handle_), rest.data(), rest.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (size > 0) rest.remove_prefix(static_cast<std::size_t>(size));
        if (size > 0 || errno == EINTR) continue;
        if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error(connection_.host_, errno);
        if (!wait_for(handle_, MYSQL_WAIT_WRITE, connection_.patience_))
            return temporary(connection_.host_ + ": takes no statements");
    }
    return {};
}

// The answer to one statement. An error that the server sends in its place ends this statement alone; after
// one that comes later, nobody but the library knows where the next answer begins, and the connection is
// given up: an answer to another question would be worse than none.
Result<> MariadbConnection::Pipeline::receive(Sent const& sent) {
    auto const& [text, values, deadline] = queries_[sent.which];
    bool const wanted = done_ < wanted_;
    connection_.behind_ = (sent_.size() - done_ - 1) * least_answer_;
    // Values that others ask for may be gone, and these are not sent anywhere.
    std::vector<std::string> const others(wanted ? 0 : values.size());
    auto done = connection_.execute(sent.statement, wanted ? values : others, deadline);
    bool const begun = done.has_value();
    auto rows = begun ? connection_.all_results(sent.statement, deadline)
                      : Result<Rows>(std::unexpected(std::move(done).error()));
    if (!rows) failed_.push_back(sent.statement);
    if (!rows && connection_.broken_) return std::unexpected(std::move(rows).error());
    connection_.broken_ = begun && !rows;
    Result<> const next = connection_.broken_ ? permanent(rows.error().text) : Result<>();
    if (wanted) answers_.answer(sent.which, std::move(rows));
    ++done_;
    return next;
}

void MariadbConnection::Pipeline::lose_patience() {
    std::vector<std::size_t> rest;
    for (auto i = done_ + 1; i < sent_.size(); ++i) rest.push_back(sent_[i].which);
    wanted_ = done_ + 1;
    if (!rest.empty()) answers_.take_back(std::move(rest));
}

Result<> MariadbConnection::Pipeline::run() {
    collect();
    wanted_ = sent_.size();
    connection_.patience_ = Deadline::after(batch_patience);
    connection_.impatience_ = [this] { lose_patience(); };
    if (auto done = send(); !done) return done;
    for (auto const& each : sent_)
        if (auto done = receive(each); !done) return done;
    return {};
}

Result<> MariadbConnection::query_all(std::span<Query const> queries, Answers& answers) {
    auto const deadline = queries.front().deadline;
    if (node_checked_until_ && node_checked_until_->expired())
        if (auto synced = look_at_galera(deadline); !synced)
            return std::unexpected(std::move(synced).error());
    bool const plain = mysql_get_ssl_cipher(handle_.get()) == nullptr && handle_->net.compress == 0;
    if (!plain || queries.size() < 2) {
        patience_ = Deadline::after(batch_patience);
        return one_by_one(queries, answers, [this](Query const& each, std::function<void()> overdue) {
            impatience_ = std::move(overdue);
            auto rows = run(with_placeholders(*each.statement, Driver::mariadb), each.values, each.deadline);
            impatience_ = {};
            return rows;
        });
    }
    for (auto const& query : queries) {
        auto const ready = prepared(with_placeholders(*query.statement, Driver::mariadb), deadline);
        if (!ready && broken_) return std::unexpected(ready.error());
    }
    Pipeline pipeline(*this, queries, answers);
    auto done = pipeline.run();
    impatience_ = {};
    behind_ = 0;
    wake_after(1);
    auto const failed = pipeline.end();
    std::erase_if(prepared_, [&](auto const& known) {
        return !broken_ && std::ranges::find(failed, known.second.get()) != failed.end();
    });
    return done;
}

} // namespace postern::sql::mariadb
