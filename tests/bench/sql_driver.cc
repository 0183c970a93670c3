// What a database reaches by itself: our drivers with a thread for each connection, and nothing else.
#include "common/base/log.h"
#include "common/sql/database.h"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace postern;
using Clock = std::chrono::steady_clock;

constexpr auto patience = std::chrono::seconds(30);

sql::Driver driver_of(std::string_view name) {
    return name == "pgsql"   ? sql::Driver::postgresql
           : name == "mysql" ? sql::Driver::mariadb
                             : sql::Driver::sqlite;
}

// Each takes its turn as an ordinary lookup would, or several at once.
class Asker final : public sql::Answers {
  public:
    Asker(sql::ServerSettings const& server, std::vector<std::string> const& keys) : keys_(keys) {
        auto made = sql::connect(server, Deadline::after(patience));
        if (!made) throw std::runtime_error(made.error().text);
        connection_ = std::move(*made);
        for (int i = 0; i < 3; ++i) one(0); // prepared
    }
    void one(std::size_t at) {
        std::vector const values{keys_[at % keys_.size()]};
        answer(0, connection_->query(statement_, values, Deadline::after(patience)));
    }
    void several(std::size_t at, std::size_t count) {
        std::vector<std::vector<std::string>> values(count);
        std::vector<sql::Query> queries;
        for (std::size_t i = 0; i < count; ++i) {
            values[i].push_back(keys_[(at + i) % keys_.size()]);
            queries.push_back({&statement_, values[i], Deadline::after(patience)});
        }
        auto const before = answered_;
        auto const done = connection_->query_all(queries, *this);
        if (!done || answered_ - before != count) throw std::runtime_error("not all were answered");
    }
    void answer(std::size_t, Result<sql::Rows> rows) override {
        if (!rows) throw std::runtime_error(rows.error().text);
        ++answered_;
    }
    void take_back(std::vector<std::size_t> which) override { answered_ += which.size(); }

  private:
    std::vector<std::string> const& keys_;
    std::unique_ptr<sql::Connection> connection_;
    sql::Statement const statement_{{"SELECT goto FROM alias WHERE address=", ""}};
    std::size_t answered_ = 0;
};

double rate(sql::ServerSettings const& server, std::vector<std::string> const& keys, std::size_t connections,
            std::size_t batch, std::chrono::milliseconds span) {
    std::vector<std::unique_ptr<Asker>> askers;
    for (std::size_t i = 0; i < connections; ++i) askers.push_back(std::make_unique<Asker>(server, keys));
    std::atomic<std::size_t> asked{0};
    auto const begun = Clock::now();
    std::vector<std::thread> threads;
    for (auto& asker : askers)
        threads.emplace_back([&, &mine = *asker] {
            while (Clock::now() - begun < span)
                if (auto const at = asked.fetch_add(batch); batch == 1)
                    mine.one(at);
                else
                    mine.several(at, batch);
        });
    for (auto& thread : threads) thread.join();
    return static_cast<double>(asked) / std::chrono::duration<double>(Clock::now() - begun).count();
}

} // namespace

// sql-driver DRIVER HOST PORT USER PASSWORD DATABASE KEYS-FILE CONNECTIONS BATCH MILLISECONDS
// Lookups a second.
int main(int argc, char** argv) try {
    if (argc != 11)
        throw std::runtime_error("DRIVER HOST PORT USER PASSWORD DATABASE KEYS-FILE CONNECTIONS BATCH MS");
    sql::ServerSettings server;
    server.driver = driver_of(argv[1]);
    server.host = argv[2];
    server.port = static_cast<std::uint16_t>(std::strtoul(argv[3], nullptr, 10));
    server.user = argv[4];
    server.password = argv[5];
    server.database = argv[6];
    std::vector<std::string> keys;
    std::ifstream in(argv[7]);
    for (std::string key; std::getline(in, key);) keys.push_back(key);
    std::printf("%.0f\n",
                rate(server, keys, std::strtoul(argv[8], nullptr, 10), std::strtoul(argv[9], nullptr, 10),
                     std::chrono::milliseconds(std::strtol(argv[10], nullptr, 10))));
    return 0;
} catch (std::exception const& failure) {
    std::fprintf(stderr, "sql-driver: %s\n", failure.what());
    return 1;
}
