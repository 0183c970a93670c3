// A connection to a Redis server: one command and its reply at a time, each before a deadline.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::redis {

struct ServerSettings {
    std::string path; // a Unix socket, or
    std::string host;
    std::uint16_t port = 6379;
    std::string user, password; // empty: no AUTH
};

struct Reply {
    // error only within an array: the whole reply being one is an Error. too_long: a text that was left out.
    enum class Kind { nil, integer, text, array, error, too_long };
    Kind kind = Kind::nil;
    std::int64_t integer = 0;
    std::string text; // texts and statuses
    std::vector<Reply> array;
};

// Of one reply; a larger one ends the connection.
struct ReplyLimits {
    std::size_t octets = std::size_t{4} << 20; // on the wire
    std::size_t values = 20000;
    std::size_t text = 4096; // octets of one text; a longer one is left out
};

// False: built without hiredis; a configuration that needs Redis is to be refused.
bool is_available();

// After an error it is of no more use: connect anew.
class Connection {
  public:
    virtual ~Connection() = default;
    // Temporary error: no reply before the deadline. Permanent error: the server refuses the command.
    // Malformed: a reply beyond its limits, or none of Redis' protocol.
    virtual Result<Reply> command(std::span<std::string const> words, Deadline deadline) = 0;
};

Result<std::unique_ptr<Connection>> connect(ServerSettings const& server, Deadline deadline);

} // namespace postern::redis
