// The workers take requests as they come.
#include "common/net/switchboard.h"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <span>

namespace postern::net {

namespace {

constexpr std::size_t largest_batch = 16;

unsigned reasons_of(unsigned events) {
    unsigned reasons = 0;
    if ((events & EPOLLIN) != 0) reasons |= Caller::readable;
    if ((events & EPOLLOUT) != 0) reasons |= Caller::writable;
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) reasons |= Caller::hung_up;
    return reasons;
}

} // namespace

void Switchboard::work() {
    std::string buffer;
    Turns turns;
    turns.reserve(std::min(batch_, largest_batch)); // from here on it needs no memory
    while (next_clients(turns)) {
        serve(turns, buffer);
        crew_.came_back();
    }
}

// With their turns; false: the thread is to end.
bool Switchboard::next_clients(Turns& turns) {
    std::array<epoll_event, largest_batch> events;
    while (!over_) {
        take_ready(turns);
        if (!turns.empty()) return true;
        auto const count =
            crew_.wait(poller_.get(), std::span(events).first(std::min(batch_, largest_batch)));
        if (!count) return false;
        std::lock_guard const lock(mutex_);
        for (auto const& event : std::span(events).first(*count))
            make_ready(event.data.u64, reasons_of(event.events));
    }
    return false;
}

// Under the lock. With the turn a client is in the queue once; nothing here needs memory, since no poller
// would tell of the request again.
void Switchboard::make_ready(std::uint64_t id, unsigned reasons) {
    auto const client = clients_.find(id);
    if (client != clients_.end() && client->second->take_turn(reasons)) enqueue(client->second);
}

void Switchboard::enqueue(std::shared_ptr<Caller> const& client) {
    (last_ready_ != nullptr ? last_ready_->behind : first_ready_) = client;
    last_ready_ = client.get();
}

void Switchboard::take_ready(Turns& turns) {
    std::lock_guard const lock(mutex_);
    for (auto room = std::min(batch_, largest_batch); room > 0 && first_ready_; --room) {
        auto client = std::move(first_ready_);
        first_ready_ = std::move(client->behind);
        turns.push_back(std::move(client));
    }
    if (!first_ready_) last_ready_ = nullptr;
}

// All are served before anything is sent: a peer that is woken by its answer costs more than the answer, and
// when it looks for others it finds them, too. Who asks on and on takes turns with them, so that no answer
// stays behind its questions.
void Switchboard::serve(Turns& turns, std::string& buffer) {
    while (!turns.empty()) {
        std::erase_if(turns, [&](auto const& each) { return !serve_one(*each, each->asked(), buffer); });
        std::erase_if(turns, [&](auto const& each) { return !settle(*each) || each->nothing_asked(); });
    }
}

// By any thread; the switchboard stays until the turn has been given back or the connection has ended.
void Switchboard::call(Caller& client, unsigned reasons) {
    if (client.take_turn(reasons)) attend(client);
}

// receive() may wait, and this thread may be the host, or somebody else's: what is to be read is a worker's.
void Switchboard::attend(Caller& client) {
    std::string nothing_is_read;
    do {
        auto reasons = client.asked();
        bool const is_to_be_read = (reasons & (Caller::readable | Caller::hung_up)) != 0;
        if (is_to_be_read && (reasons & Caller::leave) == 0) {
            if (hand_over(client, reasons)) return;
            reasons |= Caller::leave;
        }
        if (!serve_one(client, reasons, nothing_is_read) || !settle(client)) return;
    } while (!client.nothing_asked());
}

// The turn goes along: whoever takes it may end the last connection, and after it the switchboard. False:
// stop() may have looked into the queue for the last time.
bool Switchboard::hand_over(Caller& client, unsigned reasons) {
    auto const worker_call = worker_call_;
    {
        std::lock_guard const lock(mutex_);
        if (over_) return false;
        client.ask_again(reasons);
        enqueue(clients_.at(client.id()));
    }
    worker_call.wake();
    return true;
}

bool Switchboard::serve_one(Caller& client, unsigned reasons, std::string& buffer) {
    return guarded(client, [&] { return client.serve(reasons, buffer); });
}

bool Switchboard::settle(Caller& client) {
    return guarded(client, [&] {
        auto settled = client.settle(stopping_);
        if (settled) set_alarm(client);
        return settled;
    });
}

// The outermost frame of a request: whatever goes wrong in here ends this connection and no other. False: it
// has ended.
template <class Step>
bool Switchboard::guarded(Caller& client, Step const& step) {
    Result<> done;
    try {
        done = step();
    } catch (std::exception const& broken) {
        log_.error("{}: client={} closed by a failure of our own: {}", name_, client.peer().to_string(),
                   broken.what());
        done = closed("");
    }
    if (!done) finish(client, done.error());
    return done.has_value();
}

void Switchboard::set_alarm(Caller& client) {
    auto const before = client.alarm_set_to();
    auto const earlier = client.earlier_alarm();
    if (!earlier) return;
    bool is_next = false;
    {
        std::lock_guard const lock(mutex_);
        alarms_.erase({before, client.id()});
        auto const set = alarms_.emplace(*earlier, client.id()).first;
        is_next = set == alarms_.begin();
    }
    if (is_next) waker_.wake(); // the host sleeps for too long
}

// Nobody gets the turn any more.
void Switchboard::finish(Caller& client, Error const& why) {
    tell_end(log_, name_, client.peer(), why);
    client.end_session();
    open_.add(-1);
    std::shared_ptr<Caller> ended; // goes, with its socket, after the lock
    std::lock_guard const lock(mutex_);
    if (clients_.size() >= limits_.max_connections) waker_.wake(); // the host accepts again
    alarms_.erase({client.alarm_set_to(), client.id()});
    auto const entry = clients_.extract(client.id());
    if (!entry.empty()) ended = std::move(entry.mapped());
    if (clients_.empty()) all_gone_.notify_all();
}

} // namespace postern::net
