// The handler and its pipe.
#include "common/daemon/signals.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <stdexcept>

namespace postern::daemon {

namespace {

std::atomic<int> handler_pipe = -1; // a handler has no closure: the one exception to "no globals"

void on_signal(int number) {
    int const saved = errno;
    auto const octet = static_cast<unsigned char>(number);
    [[maybe_unused]] auto const written = ::write(handler_pipe.load(), &octet, 1);
    errno = saved;
}

void handle(int number, void (*handler)(int)) {
    struct sigaction action{};
    action.sa_handler = handler;
    action.sa_flags = SA_RESTART;
    ::sigaction(number, &action, nullptr);
}

} // namespace

Signals::Signals(bool reload_on_usr1) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC | O_NONBLOCK) != 0)
        throw std::runtime_error("pipe: out of file descriptors");
    read_end_.reset(ends[0]);
    write_end_.reset(ends[1]);
    handler_pipe = ends[1];
    handle(SIGPIPE, SIG_IGN);
    for (int const number : {SIGTERM, SIGINT, SIGHUP}) handle(number, on_signal);
    if (reload_on_usr1) handle(SIGUSR1, on_signal);
}

Signals::~Signals() {
    for (int const number : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) handle(number, SIG_IGN);
    handler_pipe = -1;
}

Signals::Event Signals::wait(Deadline until, int other_descriptor) {
    std::array<pollfd, 2> waiting{{{read_end_.get(), POLLIN, 0}, {other_descriptor, POLLIN, 0}}};
    if (::poll(waiting.data(), waiting.size(), until.poll_timeout()) <= 0) return Event::none;
    unsigned char number = 0;
    if (::read(read_end_.get(), &number, 1) != 1) return Event::none;
    return number == SIGHUP || number == SIGUSR1 ? Event::reload : Event::stop;
}

} // namespace postern::daemon
