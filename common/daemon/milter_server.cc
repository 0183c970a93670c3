// net::Server's sessions, each around a milter conversation.
#include "common/daemon/milter_server.h"

#include "common/milter/conversation.h"

#include <utility>

namespace postern::daemon {

namespace {

class Connection final : public net::Session {
  public:
    explicit Connection(milter::Terms terms) : conversation_(std::move(terms)) {}

    Result<std::string> receive(std::string_view bytes) override {
        heard_ = Deadline::after(MilterServer::mta_timeout);
        return conversation_.receive(bytes);
    }
    // What was answered before the error.
    std::string farewell(Error const&) override { return conversation_.unsent(); }
    bool finished() const override { return conversation_.finished(); }
    bool busy() const override { return conversation_.in_message(); }
    // A busy session has no idle time; an MTA that falls silent in the middle of a message has this.
    std::optional<Deadline> wakes_at() const override {
        return busy() ? std::optional(heard_) : std::nullopt;
    }
    Result<std::string> wake() override {
        if (busy() && heard_.expired()) return temporary("the MTA fell silent in the middle of a message");
        return std::string();
    }

  private:
    milter::Conversation conversation_;
    Deadline heard_ = Deadline::never();
};

net::ServerLimits limits() {
    net::ServerLimits limits;
    limits.idle_timeout = MilterServer::mta_timeout;
    limits.read_size = 65536 + 64; // a chunk of a body at once
    return limits;
}

} // namespace

MilterServer::MilterServer(net::Listener listener, milter::Negotiation negotiation, milter::Factory factory,
                           Log& log, Metrics& metrics)
    : factory_(std::move(factory)), log_(log), negotiation_(std::move(negotiation)),
      server_(
          std::move(listener), limits(), [this](net::Peer const&, net::Waker const&) { return converse(); },
          log, metrics, "milter") {}

std::unique_ptr<net::Session> MilterServer::converse() {
    std::lock_guard const lock(mutex_);
    return std::make_unique<Connection>(milter::Terms{negotiation_, factory_, log_, stopping_});
}

void MilterServer::renegotiate(milter::Negotiation negotiation) {
    std::lock_guard const lock(mutex_);
    negotiation_ = std::move(negotiation);
}

bool MilterServer::stop(std::chrono::milliseconds grace) {
    stopping_ = true;
    return server_.stop_within(grace);
}

} // namespace postern::daemon
