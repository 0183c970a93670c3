// Which host is asked, and which is left alone for a while.
#include "common/sql/pool_impl.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <exception>

namespace postern::sql {

namespace {

constexpr auto all_down_pause =
    std::chrono::milliseconds(100); // before a host is tried again while none answers

// Postfix's preference: sockets, then names and addresses, then URIs.
int rank(ServerSettings const& server) {
    if (server.host.contains("://")) return 2;
    return server.host.empty() || server.host.starts_with('/') || server.host == "localhost" ? 0 : 1;
}

} // namespace

// A driver that finds no memory, or no room for a thread, is one that could not connect.
Result<std::unique_ptr<Connection>> Pool::Impl::connect_to(Host const& host, Deadline deadline) {
    try {
        return settings_.connector(host.server, deadline);
    } catch (std::exception const& failure) {
        return temporary(host.name + ": " + failure.what());
    }
}

// Absent: that host failed, and the caller looks again.
Result<std::optional<Pool::Impl::Lease>> Pool::Impl::connect_one(Lock& lock, Deadline deadline) {
    bool const late = deadline.expired();
    auto const chosen = late ? std::nullopt : choose_host();
    // Another lookup is about to find out whether a host is back.
    if (!chosen && !late && connecting_ > 0) return wait(lock, deadline);
    if (!chosen) {
        // Those who wait get the same answer, not a wait for a connection that nobody makes.
        if (!waiters_.empty()) call_next();
        return temporary(late ? "the time limit passed before a connection was made" : why_all_down());
    }
    auto& host = hosts_[*chosen]; // never moves: hosts_ does not grow
    ++total_;
    ++connecting_;
    lock.unlock();
    auto made = connect_to(host, deadline.or_after(settings_.connect_timeout));
    lock.lock();
    --connecting_;
    if (made) {
        open_.add(1);
        host_answers(host);
        for (auto room = settings_.size - std::min(settings_.size, total_); room > 0 && !waiters_.empty();
             --room)
            call_next();
        return Lease{std::move(*made), *chosen, true};
    }
    make_room();
    host_failed(host, made.error());
    return std::nullopt;
}

std::optional<std::size_t> Pool::Impl::choose_host() {
    auto const now = Clock::now();
    bool const any_up = std::ranges::any_of(hosts_, [](Host const& host) { return !host.down; });
    std::vector<std::size_t> best;
    for (std::size_t i = 0; i < hosts_.size(); ++i) {
        auto const& host = hosts_[i];
        auto const pause = any_up ? host.interval : std::min(settings_.retry_interval, all_down_pause);
        if (host.down && now < host.tried + pause) continue;
        if (!best.empty() && rank(host.server) > rank(hosts_[best.front()].server)) continue;
        if (!best.empty() && rank(host.server) < rank(hosts_[best.front()].server)) best.clear();
        best.push_back(i);
    }
    if (best.empty()) return std::nullopt;
    auto const chosen = best[std::uniform_int_distribution<std::size_t>(0, best.size() - 1)(random_)];
    hosts_[chosen].tried = now; // one at a time tries a host that is down
    return chosen;
}

void Pool::Impl::host_answers(Host& host) {
    if (host.down)
        log_.notice("{} server {} answers again; pool={}", to_string(driver_), host.name, settings_.name);
    host.down = false;
    host.interval = milliseconds(0);
    host.up.set(1);
}

// Failures that follow each other quickly, of many lookups or of tries while nothing else answers, count as
// one.
void Pool::Impl::host_failed(Host& host, Error const& error) {
    auto const now = Clock::now();
    bool const counts = !host.down || now >= host.counted + settings_.retry_interval;
    host.tried = now;
    host.last_error = error.text;
    host.up.set(0);
    host.down = true;
    if (!counts) return;
    host.counted = now;
    host.interval = host.interval.count() == 0
                        ? settings_.retry_interval
                        : std::min(host.interval * 2, settings_.longest_retry_interval);
    // The drivers' errors begin with the host's name, and this line has it already.
    std::string_view why = error.text;
    if (why.starts_with(host.name + ": ")) why.remove_prefix(host.name.size() + 2);
    log_.warning("connect to {} server {}: {}; pool={} retry_in={}ms", to_string(driver_), host.name,
                 printable(why, 500), settings_.name, host.interval.count());
}

std::string Pool::Impl::why_all_down() const {
    if (hosts_.empty()) return "no database host is configured";
    auto const latest = std::ranges::max_element(hosts_, {}, &Host::tried);
    return fmt::format("no database host answers; the last one tried was {}",
                       latest->last_error.empty() ? latest->name : latest->last_error);
}

} // namespace postern::sql
