// Hears what a PostgreSQL database tells with NOTIFY, on a connection of its own.
#pragma once

#include "common/base/clock.h"
#include "common/base/log.h"
#include "common/sql/database.h"

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace postern::sql {

// One connection that listens. Tests put their own in its place.
class NotificationSource {
  public:
    virtual ~NotificationSource() = default;
    // The payloads that came; none when the descriptor stop became readable or nothing came for a while. An
    // error: the connection is lost.
    virtual Result<std::vector<std::string>> wait(int stop) = 0;
};

using NotificationConnector = std::function<Result<std::unique_ptr<NotificationSource>>(
    ServerSettings const&, std::string const& channel, Deadline)>;
Result<std::unique_ptr<NotificationSource>> listen_postgresql(ServerSettings const& server,
                                                              std::string const& channel, Deadline deadline);

struct NotificationSettings {
    std::vector<ServerSettings> servers; // the first that lets us listen: a standby does not
    std::string channel;
    std::chrono::milliseconds connect_timeout = std::chrono::seconds(5);
    std::chrono::milliseconds retry_interval = std::chrono::seconds(1);
    NotificationConnector connector = listen_postgresql;
};

// A thread that listens for as long as this lives, and connects again when it has to.
class Notifications {
  public:
    // heard is called in that thread with each payload, and with nothing whenever one may have been missed:
    // after every time that the connection was made.
    using Heard = std::function<void(std::optional<std::string> const& payload)>;
    Notifications(NotificationSettings settings, Heard heard, Log& log);
    ~Notifications();

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

} // namespace postern::sql
