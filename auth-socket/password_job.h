// A login's password checked on another thread, together with others where their database likes that.
#pragma once

#include "auth-socket/authority.h"
#include "auth-socket/executor.h"
#include "common/base/log.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postern::auth_socket {

class PasswordJob final : public Job {
  public:
    // Called once, by any thread: the request as the databases left it. The outcome is temporary when
    // something failed.
    using Done = std::function<void(Request request, Outcome outcome)>;
    // The password is the request's. executor: where logins go that must be checked alone after all.
    PasswordJob(std::shared_ptr<Authority const> authority, Request request, std::string authorization,
                Executor& executor, Log& log, Done done);

    void run() override;
    void const* kind() const override { return kind_; }
    void run_with(std::vector<std::unique_ptr<Job>> others) override;

  private:
    void look_up(std::span<PasswordJob* const> jobs);
    void judge();
    void end();
    void go_alone();

    std::shared_ptr<Authority const> authority_;
    Request request_;
    std::string authorization_;
    Executor* executor_;
    Log* log_;
    Done done_; // empty: it has been called, or another job has it
    void const* kind_;
    std::optional<Outcome> outcome_;
};

} // namespace postern::auth_socket
