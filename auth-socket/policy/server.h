// The policy server as the logins see it: asked within a time, and left alone for a while when it is away.
#pragma once

#include "auth-socket/logins.h"
#include "auth-socket/policy/question.h"
#include "common/base/log.h"

#include <memory>
#include <mutex>

namespace postern::auth_socket {

// After silence nobody waits for it for so long: it would cost every login its timeout. Not after an answer
// of no use, which a stranger's odd login may have caused: the others are still asked about.
inline constexpr std::chrono::seconds policy_pause{5};

// Thread-safe.
class PolicyServer {
  public:
    PolicyServer(PolicySettings settings, std::shared_ptr<http::Client const> client, TimeSource now,
                 Log& log)
        : settings_(std::move(settings)), client_(std::move(client)), now_(std::move(now)), log_(log) {}

    // Where it cannot be asked: what auth_policy_reject_on_fail says; where a login has no time left to ask
    // it, that is missing. One log line tells that it went away, one that it is back.
    PolicyAdvice allow(Request const& request, std::string_view password) const;
    void report(Request const& request, std::string_view password, PolicyReport const& report) const;
    PolicySettings const& settings() const { return settings_; }

  private:
    Result<http::Answer> send(char const* command, Request const& request, std::string_view password,
                              PolicyReport const* report) const;
    bool is_paused() const;
    bool is_in_a_hurry(Request const& request) const;
    void pause() const;
    void note(bool works, std::string_view why) const;

    PolicySettings const settings_;
    std::shared_ptr<http::Client const> const client_;
    TimeSource const now_;
    Log& log_;
    mutable std::mutex mutex_; // guards both below
    mutable bool works_ = true;
    mutable Deadline::Clock::time_point paused_until_{};
};

} // namespace postern::auth_socket
