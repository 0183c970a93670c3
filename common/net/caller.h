// One connection of a Switchboard: whose turn it is, what is still to be sent, and when it must be looked at.
#pragma once

#include "common/net/server.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace postern::net {

// Serves its session for whichever thread has the turn. No call waits for the peer.
class Caller {
  public:
    using Clock = std::chrono::steady_clock;
    enum Reason : unsigned {
        readable = 1,
        writable = 2,
        hung_up = 4, // there is an end to be read, behind what the peer sent before it
        woken = 8,
        alarm = 16,
        look = 32,  // whether it may go on: the switchboard is stopping
        leave = 64, // it may not
    };

    Caller(Descriptor fd, Peer peer, ServerLimits const& limits, int poller, std::uint64_t id);

    std::uint64_t id() const { return id_; }
    int descriptor() const { return fd_.get(); }
    Peer const& peer() const { return peer_; }

    // True: the caller has the turn and serves, until nothing_asked() gives it back. False: another thread
    // has it and will see the reasons; or the connection has ended, whose turn nobody gives back.
    bool take_turn(unsigned reasons) { return (asked_.fetch_or(reasons | has_turn) & has_turn) == 0; }

    std::shared_ptr<Caller>
        behind; // in the switchboard's queue of those with something to do; the switchboard's

    // The rest is for the thread that has the turn. From begin() on, its maker has it.
    Result<> begin(std::unique_ptr<Session> session, std::string greeting);
    unsigned asked() { return asked_.exchange(has_turn) & ~has_turn; }
    void ask_again(unsigned reasons) { asked_.fetch_or(reasons); }
    bool nothing_asked() {
        unsigned expected = has_turn;
        return asked_.compare_exchange_strong(expected, 0);
    }
    // Reads once and lets the session answer; what it says waits for settle(), so that a thread can serve
    // several before their peers wake up. buffer: where it reads; made as large as it must be. An error ends
    // the connection.
    Result<> serve(unsigned reasons, std::string& buffer);
    // Sends what can be sent. An error ends the connection.
    Result<> settle(bool stopping);
    // When it is to be served at the latest, if that is earlier than the alarm that is set; then sets it.
    std::optional<Clock::time_point> earlier_alarm();
    Clock::time_point alarm_set_to() const { return alarm_; }
    void end_session() { session_.reset(); }

  private:
    static constexpr unsigned has_turn = 128;

    Result<> watch(int operation, unsigned events);
    void answer(Result<std::string> reply);
    Result<> read(bool to_the_end, std::string& buffer);
    Result<> flush();
    void close(Error why);
    bool is_idle() const { return !is_over() && !session_->busy(); }
    bool is_blocked() const { return must_be_sent_ != Clock::time_point{}; }
    bool is_time_to_wake() const;
    bool is_over() const { return ends_ || session_->finished(); }

    Descriptor fd_;
    Peer const peer_;
    ServerLimits const& limits_;
    int const poller_;
    std::uint64_t const id_;
    std::atomic<unsigned> asked_{has_turn};
    // What follows is the turn's.
    std::unique_ptr<Session> session_;
    std::string unsent_;
    std::optional<Error> ends_;       // when all is sent
    Clock::time_point must_be_sent_;  // unsent_, which the socket did not take; nothing is read meanwhile
    bool is_to_be_read_ = false;      // the poller is to tell what there is
    Clock::time_point idle_too_long_; // counts while the session is not busy
    Clock::time_point alarm_ = Clock::time_point::max();
};

} // namespace postern::net
