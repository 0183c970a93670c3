// Wrong passwords told to other machines, and heard from them.
#include "auth-socket/shared_penalties.h"

#include "common/base/encoding.h"
#include "common/base/secret.h"
#include "common/base/text.h"

#include <algorithm>
#include <exception>

namespace postern::auth_socket {

namespace {

constexpr std::chrono::seconds command_time{3};
constexpr std::chrono::seconds pause_after_failure{1};
constexpr char listening_milliseconds[] = "500";
constexpr std::int64_t remembered_milliseconds = 60'000;
constexpr char kept_seconds[] = "600"; // user names are not kept for longer

std::string text_field(std::vector<redis::Reply> const& fields, std::string_view name) {
    for (std::size_t i = 0; i + 1 < fields.size(); i += 2)
        if (fields[i].text == name) return fields[i + 1].text;
    return {};
}

} // namespace

std::vector<std::string> event_fields(PenaltyEvent const& event, std::string_view origin) {
    std::vector<std::string> fields{"from",    std::string(origin), "what", event.succeeded ? "ok" : "wrong",
                                    "address", event.address,       "user", event.user};
    if (event.guess) {
        fields.emplace_back("guess");
        fields.push_back(std::to_string(*event.guess));
    }
    return fields;
}

std::optional<ReadEvent> read_event(redis::Reply const& fields) {
    auto const& list = fields.array;
    auto const is_text = [](redis::Reply const& each) { return each.kind == redis::Reply::Kind::text; };
    if (!std::ranges::all_of(list, is_text)) return std::nullopt;
    ReadEvent read;
    read.origin = text_field(list, "from");
    auto const what = text_field(list, "what");
    read.event.succeeded = what == "ok";
    read.event.address = text_field(list, "address");
    read.event.user = text_field(list, "user");
    if (auto const guess = text_field(list, "guess"); !guess.empty()) {
        read.event.guess = parse_number<std::uint64_t>(guess);
        if (!read.event.guess) return std::nullopt;
    }
    auto const too_long = [](std::string const& text) { return text.size() > longest_event_text; };
    if (read.origin.empty() || (what != "ok" && what != "wrong") || too_long(read.event.address) ||
        too_long(read.event.user))
        return std::nullopt;
    return read;
}

std::optional<std::string> take_entries(redis::Reply const& reply, std::string_view origin,
                                        std::function<void(PenaltyEvent const&)> const& take) {
    std::optional<std::string> last;
    for (auto const& stream : reply.array) {
        if (stream.array.size() != 2) continue;
        for (auto const& entry : stream.array[1].array) {
            if (entry.array.size() != 2) continue;
            last = entry.array[0].text;
            auto const read = read_event(entry.array[1]);
            if (read && read->origin != origin) take(read->event);
        }
    }
    return last;
}

SharedPenalties::SharedPenalties(Penalties& penalties, Connect connect, std::string key, Log& log)
    : penalties_(penalties), connect_(std::move(connect)), key_(std::move(key)),
      origin_(hex_encode(random_octets(8))), log_(log) {
    penalties_.tell([this](PenaltyEvent const& event) { put(event); });
}

void SharedPenalties::start() {
    threads_.emplace_back([this] { write(); });
    threads_.emplace_back([this] { read(); });
}

void SharedPenalties::stop() {
    {
        std::lock_guard const lock(mutex_);
        stopping_ = true;
    }
    changed_.notify_all();
    for (auto& thread : threads_) thread.join();
    threads_.clear();
}

void SharedPenalties::put(PenaltyEvent const& event) {
    if (event.user.size() > longest_event_text || event.address.size() > longest_event_text) return;
    {
        std::lock_guard const lock(mutex_);
        if (waiting_.size() >= events_waiting) waiting_.pop_front();
        waiting_.push_back(event);
    }
    changed_.notify_all();
}

// Hearing is tried all the time, telling when there is something to tell: who hears again may tell again.
void SharedPenalties::note(Half half, bool works, std::string_view why) {
    std::lock_guard const lock(mutex_);
    auto const worked = telling_works_ && hearing_works_;
    if (half == Half::telling || (works && !hearing_works_)) telling_works_ = works;
    if (half == Half::hearing) hearing_works_ = works;
    if (worked == (telling_works_ && hearing_works_)) return;
    if (!worked)
        log_.info("auth: penalties: Redis answers again");
    else
        log_.error("auth: penalties: Redis: {}; this machine goes on with its own", why);
}

bool SharedPenalties::pause() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, pause_after_failure, [this] { return stopping_; });
    return !stopping_;
}

// Null when it is time to stop.
std::unique_ptr<redis::Connection> SharedPenalties::connected(Half half) {
    do {
        auto connection = connect_();
        if (connection) return std::move(*connection);
        note(half, false, connection.error().text);
    } while (pause());
    return nullptr;
}

bool SharedPenalties::tell(redis::Connection& connection, PenaltyEvent const& event) {
    std::vector<std::string> words{"XADD", key_, "MAXLEN", "~", std::to_string(stream_length), "*"};
    for (auto& field : event_fields(event, origin_)) words.push_back(std::move(field));
    auto done = connection.command(words, Deadline::after(command_time));
    if (done) {
        std::vector<std::string> const expire{"EXPIRE", key_, kept_seconds};
        done = connection.command(expire, Deadline::after(command_time));
    }
    note(Half::telling, done.has_value(), done ? "" : done.error().text);
    return done.has_value();
}

void SharedPenalties::write() {
    std::unique_ptr<redis::Connection> connection;
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
        if (stopping_) return;
        auto const event = std::move(waiting_.front());
        waiting_.pop_front();
        lock.unlock();
        if (!connection) connection = connected(Half::telling);
        if (connection && !tell(*connection, event)) {
            connection = nullptr;
            pause();
        }
        lock.lock();
    }
}

bool SharedPenalties::hear(redis::Connection& connection, std::string& last) {
    std::vector<std::string> const words{"XREAD",   "COUNT", "500", "BLOCK", listening_milliseconds,
                                         "STREAMS", key_,    last};
    auto const reply = connection.command(words, Deadline::after(command_time));
    note(Half::hearing, reply.has_value(), reply ? "" : reply.error().text);
    // What cannot be read would be met again and again: go on with what is told from now on.
    if (!reply && reply.error().kind == ErrorKind::malformed) last = "$";
    if (!reply) return false;
    auto const heard =
        take_entries(*reply, origin_, [this](PenaltyEvent const& event) { penalties_.apply(event); });
    if (heard) last = *heard;
    return true;
}

// From the last minute on: what others learned before this one began.
void SharedPenalties::read() {
    auto last = std::to_string(unix_time() * 1000 - remembered_milliseconds) + "-0";
    auto const goes_on = [this] {
        std::lock_guard const lock(mutex_);
        return !stopping_;
    };
    while (goes_on()) {
        auto connection = connected(Half::hearing);
        while (connection && goes_on())
            if (!hear(*connection, last)) {
                connection = nullptr;
                pause();
            }
    }
}

} // namespace postern::auth_socket
