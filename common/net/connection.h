// The loop that joins a session to its two descriptors.
#pragma once

#include "common/net/server.h"

#include <string_view>

namespace postern::net {

// Runs until the session is finished, the peer goes, an error, the idle time passes or `stopping` turns true
// while the session is not busy. The session's end and the peer's are no error; the idle time and stopping
// are ErrorKind::temporary, so that the session's farewell() can say 421.
struct ConnectionLoop {
    Session& session;
    Waker waker;
    int in;
    int out;
    ServerLimits const& limits;
    std::atomic<bool> const* stopping = nullptr; // set, and the waker used, to end it

    Result<> run();

  private:
    Result<> send(std::string_view bytes);
    Result<bool> wait(); // true: bytes to read; false: wake
    Result<> answer(Result<std::string> reply);
};

} // namespace postern::net
