// An eventfd or a function that copies share.
#include "common/net/server.h"

#include <sys/eventfd.h>

#include <cerrno>
#include <stdexcept>

namespace postern::net {

struct Waker::Event {
    Descriptor fd;
    std::function<void()> call;
};

Waker::Waker() : event_(std::make_shared<Event>(Descriptor(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)))) {
    if (!event_->fd) throw std::runtime_error("eventfd: out of file descriptors");
}

Waker::Waker(std::function<void()> call) : event_(std::make_shared<Event>(Descriptor(), std::move(call))) {}

void Waker::wake() const {
    if (event_->call) return event_->call();
    std::uint64_t const one = 1;
    // Full means that it is awake already.
    [[maybe_unused]] auto const written = ::write(event_->fd.get(), &one, sizeof one);
}

int Waker::descriptor() const { return event_->fd.get(); }

void Waker::clear() const {
    std::uint64_t count = 0;
    [[maybe_unused]] auto const taken = ::read(event_->fd.get(), &count, sizeof count);
}

} // namespace postern::net
