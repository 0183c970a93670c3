// saslauthd's mux socket: one password check for each connection, for programs with Cyrus SASL.
#pragma once

#include "auth-socket/completions.h"
#include "auth-socket/surroundings.h"
#include "common/base/secret.h"
#include "common/net/server.h"

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace postern::auth_socket {

// Each of user, password, service and realm. saslauthd itself takes about 256.
inline constexpr std::size_t mux_field_limit = 1024;
// How long a client has to send its question.
inline constexpr std::chrono::seconds mux_patience{10};

class MuxSession final : public net::Session {
  public:
    MuxSession(std::chrono::milliseconds failure_delay, std::shared_ptr<Authority const> authority,
               Surroundings& surroundings, net::Waker waker);
    ~MuxSession() override { wipe(buffer_); }

    Result<std::string> receive(std::string_view bytes) override;
    bool finished() const override { return finished_; }
    std::optional<Deadline> wakes_at() const override;
    Result<std::string> wake() override;
    bool busy() const override { return asked_ && !finished_; }

  private:
    using Fields4 = std::array<std::string, 4>; // user, password, service, realm
    Result<std::optional<Fields4>> question() const;
    void ask(Fields4 fields);
    void begin();
    std::string answer(Outcome const& outcome);

    std::chrono::milliseconds const failure_delay_;
    std::shared_ptr<Authority const> const authority_;
    Surroundings& surroundings_;
    std::shared_ptr<Completions<Outcome>> const completions_;
    Deadline::Clock::time_point const patience_ends_;
    std::optional<Deadline::Clock::time_point> begins_; // when the user's penalty is over
    std::optional<Deadline::Clock::time_point> refusal_due_;
    std::shared_ptr<Request> request_;
    std::string account_;
    std::string buffer_;
    bool asked_ = false;
    bool finished_ = false;
};

} // namespace postern::auth_socket
