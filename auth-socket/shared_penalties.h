// Wrong passwords told to other machines, and heard from them, through a stream in Redis. Logins never wait
// for it: the penalties are this machine's own, and others' events go into them.
#pragma once

#include "auth-socket/penalty.h"
#include "common/base/log.h"
#include "common/redis/redis.h"

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace postern::auth_socket {

inline constexpr std::size_t events_waiting = 10000; // to be told; beyond it the oldest goes
inline constexpr std::size_t stream_length = 100000; // about as many events are kept in Redis
inline constexpr std::size_t longest_event_text = 512;

// The fields of an entry of the stream, and back. Absent: not one of ours, or too long.
std::vector<std::string> event_fields(PenaltyEvent const& event, std::string_view origin);
struct ReadEvent {
    PenaltyEvent event;
    std::string origin; // which process told it
};
std::optional<ReadEvent> read_event(redis::Reply const& fields);

// Entries of an XREAD reply: what others told is given on; the last id of the stream comes back, absent when
// there was none.
std::optional<std::string> take_entries(redis::Reply const& reply, std::string_view origin,
                                        std::function<void(PenaltyEvent const&)> const& take);

class SharedPenalties {
  public:
    using Connect = std::function<Result<std::unique_ptr<redis::Connection>>()>;

    // Penalties must be told of events before there are threads; start() makes two.
    SharedPenalties(Penalties& penalties, Connect connect, std::string key, Log& log);
    ~SharedPenalties() { stop(); }
    void start();
    void stop();

  private:
    void put(PenaltyEvent const& event);
    void write();
    void read();
    bool tell(redis::Connection& connection, PenaltyEvent const& event);
    bool hear(redis::Connection& connection, std::string& last);
    // A server may take nothing and still give: Redis works when both do.
    enum class Half { telling, hearing };
    std::unique_ptr<redis::Connection> connected(Half half);
    void note(Half half, bool works, std::string_view why);
    bool pause(); // false: it is time to stop

    Penalties& penalties_;
    Connect const connect_;
    std::string const key_;
    std::string const origin_;
    Log& log_;
    std::mutex mutex_; // guards all below
    std::condition_variable changed_;
    std::deque<PenaltyEvent> waiting_;
    bool telling_works_ = true, hearing_works_ = true;
    bool stopping_ = false;
    std::vector<std::thread> threads_;
};

} // namespace postern::auth_socket
