// Makes replies out of what hiredis' reader reads, within limits, before anything large is allocated.
#pragma once

#include "common/base/error.h"
#include "common/redis/redis.h"

#include <hiredis/read.h>

namespace postern::redis {

class ReplyBuilder {
  public:
    // The reader must outlive it, and gives its replies to finished().
    explicit ReplyBuilder(redisReader& reader);
    ReplyBuilder(ReplyBuilder const&) = delete;
    ReplyBuilder& operator=(ReplyBuilder const&) = delete;

    void begin() { values_ = 0, beyond_ = false; } // before each command
    bool is_beyond_limits() const { return beyond_; }
    // Permanent error: the server refuses the command.
    static Result<Reply> finished(void* reply);

    // A place for one value; null when there are too many.
    void* place(redisReadTask const* task, Reply reply);
    bool has_room(std::size_t values);

  private:
    std::size_t values_ = 0;
    bool beyond_ = false;
};

} // namespace postern::redis
