// A few database connections shared by many sessions, over several hosts.
#pragma once

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/sql/database.h"

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace postern::sql {

// Makes one connection; tests put their own in its place.
using Connector = std::function<Result<std::unique_ptr<Connection>>(ServerSettings const&, Deadline)>;

struct PoolSettings {
    // One per host, all of one driver. Sockets are preferred to names and addresses, those to URIs; among
    // equals one is taken at random.
    std::vector<ServerSettings> servers;
    std::size_t size = 5; // connections at most, over all hosts
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
    std::chrono::milliseconds idle_time = std::chrono::seconds(60); // then a connection is closed
    // A failed host is left alone this long at first, then twice as long each time, up to the longest, as
    // long as another host answers. When none does, each is tried ten times a second, or every retry_interval
    // where that is shorter.
    std::chrono::milliseconds retry_interval = std::chrono::seconds(1);
    std::chrono::milliseconds longest_retry_interval = std::chrono::seconds(60);
    std::string name; // for the log and the metrics' label: the .cf path
    Connector connector = connect;
};

// Thread-safe. Connects when first asked.
class Pool {
  public:
    Pool(PoolSettings settings, Log& log, Metrics& metrics);
    ~Pool();

    // Waits for a free connection, runs the statement, tries another host when one fails, all within the
    // deadline. A connection that turns out dead (the server restarted) is replaced and the statement run
    // once more. ErrorKind::temporary when no host answers; ErrorKind::permanent when a server refuses the
    // statement.
    Result<Rows> query(Statement const& statement, std::span<std::string const> values, Deadline deadline);

    // Several at once, on one connection where that is quicker. Every query is answered, or taken back,
    // before this returns; each as query() would.
    void query_all(std::span<Query const> queries, Answers& answers);

    // The driver's escaping, for text outside quotes. Needs no connection.
    std::string escape(std::string_view text) const;
    Driver driver() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace postern::sql
