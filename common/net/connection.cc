// Poll, read, let the session answer, write.
#include "common/net/connection.h"

#include "common/base/secret.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>

namespace postern::net {

Result<> ConnectionLoop::send(std::string_view bytes) {
    auto const deadline = Deadline::after(limits.write_timeout);
    while (!bytes.empty()) {
        auto const n = ::write(out, bytes.data(), bytes.size());
        if (n > 0) {
            bytes.remove_prefix(static_cast<std::size_t>(n));
            continue;
        }
        if (n < 0 && errno == EINTR) continue;
        if (errno == EPIPE || errno == ECONNRESET) return closed("the peer went away before its answer");
        if (errno != EAGAIN && errno != EWOULDBLOCK) return system_error("write", errno);
        pollfd waiting{out, POLLOUT, 0};
        ::poll(&waiting, 1, deadline.poll_timeout());
        if (deadline.expired()) return closed("the peer does not read its answers");
    }
    return {};
}

Result<bool> ConnectionLoop::wait() {
    auto const idle = Deadline::after(limits.idle_timeout);
    for (;;) {
        if (stopping != nullptr && stopping->load() && !session.busy())
            return temporary("this server is stopping");
        auto const wakes_at = session.wakes_at();
        auto until = session.busy() ? Deadline::never() : idle;
        if (wakes_at) until = Deadline::earlier(until, *wakes_at);
        std::array<pollfd, 2> waiting{{{in, POLLIN, 0}, {waker.descriptor(), POLLIN, 0}}};
        int const ready = ::poll(waiting.data(), waiting.size(), until.poll_timeout());
        if (ready < 0 && errno != EINTR) return system_error("poll", errno);
        if (ready > 0 && (waiting[1].revents & POLLIN) != 0) {
            waker.clear();
            if (stopping != nullptr && stopping->load() && !session.busy()) continue;
            return false;
        }
        if (ready > 0 && waiting[0].revents != 0) return true;
        if (wakes_at && wakes_at->expired()) return false;
        if (!session.busy() && idle.expired()) return temporary("idle for too long");
    }
}

Result<> ConnectionLoop::answer(Result<std::string> reply) {
    if (reply) return send(*reply);
    auto const& error = reply.error();
    if (auto const farewell = session.farewell(error); !farewell.empty()) {
        // The peer may be gone; the error that ends the session is the one to tell.
        [[maybe_unused]] auto const sent = send(farewell);
    }
    return std::unexpected(error);
}

Result<> ConnectionLoop::run() {
    if (auto greeted = send(session.greeting()); !greeted) return greeted;
    auto const buffer = std::make_unique_for_overwrite<char[]>(limits.read_size);
    while (!session.finished()) {
        auto const bytes_waiting = wait();
        if (!bytes_waiting) return answer(std::unexpected(bytes_waiting.error()));
        Result<> done;
        if (!*bytes_waiting) {
            done = answer(session.wake());
        } else {
            auto const n = ::read(in, buffer.get(), limits.read_size);
            if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) continue;
            if (n == 0 || (n < 0 && errno == ECONNRESET)) return {};
            if (n < 0) return system_error("read", errno);
            std::span const octets(buffer.get(), static_cast<std::size_t>(n));
            auto reply = session.receive({octets.data(), octets.size()});
            wipe(octets); // a password may be among them, and the next octets may come tomorrow
            done = answer(std::move(reply));
        }
        if (!done) return done;
    }
    return {};
}

Result<> run_session(Session& session, int in, int out, ServerLimits const& limits) {
    Waker const waker;
    return ConnectionLoop{session, waker, in, out, limits}.run();
}

} // namespace postern::net
