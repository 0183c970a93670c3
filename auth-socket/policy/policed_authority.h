// An authority whose logins a policy server may refuse or slow down, and hears the end of.
#pragma once

#include "auth-socket/authority.h"
#include "auth-socket/executor.h"
#include "auth-socket/policy/server.h"

#include <memory>

namespace postern::auth_socket {

class PolicedAuthority final : public Authority {
  public:
    // executor: where reports are sent from.
    PolicedAuthority(std::shared_ptr<Authority const> inner, std::shared_ptr<PolicyServer const> server,
                     Executor& executor, Log& log)
        : inner_(std::move(inner)), server_(std::move(server)), executor_(executor), log_(log) {}

    std::string account(Request const& request, std::string_view name) const override {
        return inner_->account(request, name);
    }
    bool asks_web(std::string_view mechanism) const override;
    Outcome check_password(Request& request, std::string_view authorization,
                           Secret const& password) const override;
    Outcome find_secret(Request& request, std::string_view authorization,
                        std::span<std::string const> schemes) const override;
    Outcome find_login(Request& request, std::string_view authorization) const override {
        return inner_->find_login(request, authorization);
    }
    bool settles() const override { return server_->settings().check_after; }
    Outcome settle(Request& request, Outcome const& outcome) const override;
    void report(Request const& request, Outcome const& outcome) const override;
    UserOutcome find_user(Request& request, Outcome const* login) const override {
        return inner_->find_user(request, login);
    }
    Result<> list_users(Request const& request, std::string_view mask,
                        std::function<void(std::string_view)> const& each) const override {
        return inner_->list_users(request, mask, each);
    }
    void log_mismatch(Request const& request, std::string_view why) const override {
        inner_->log_mismatch(request, why);
    }

  private:
    std::optional<Outcome> objection(Request& request, std::string_view password) const;
    Outcome refused(Request const& request, PolicyAdvice const& advice) const;
    Outcome unasked(Request const& request) const;

    std::shared_ptr<Authority const> const inner_;
    std::shared_ptr<PolicyServer const> const server_;
    Executor& executor_;
    Log& log_;
};

} // namespace postern::auth_socket
