// A login's password checked on another thread.
#include "auth-socket/password_job.h"

#include "common/base/secret.h"

#include <exception>
#include <utility>

namespace postern::auth_socket {

PasswordJob::PasswordJob(std::shared_ptr<Authority const> authority, Request request,
                         std::string authorization, Executor& executor, Log& log, Done done)
    : authority_(std::move(authority)), request_(std::move(request)),
      authorization_(std::move(authorization)), executor_(&executor), log_(&log), done_(std::move(done)),
      kind_(authority_->asked_together(request_, authorization_)) {}

void PasswordJob::run() {
    try {
        outcome_ = authority_->check_password(request_, authorization_, request_.password);
    } catch (std::exception const& exception) {
        log_->error("auth: login{}: {}", request_.log_name(), exception.what());
        outcome_ = Outcome{};
    }
    end();
    wipe_stack_below();
}

// What is right and found out quickly ends here. Each of the others goes alone: its hash may be slow, or
// other databases are to be asked.
void PasswordJob::run_with(std::vector<std::unique_ptr<Job>> others) {
    std::vector<PasswordJob*> jobs{this};
    for (auto const& other : others) jobs.push_back(static_cast<PasswordJob*>(other.get())); // of this kind
    try {
        look_up(jobs);
    } catch (std::exception const& exception) {
        log_->error("auth: login{}: {}", request_.log_name(), exception.what());
    }
    for (auto* job : jobs) job->judge();
    for (auto* job : jobs) job->end();
    wipe_stack_below();
}

// Who goes alone takes its authority along, and a reload may leave it no other owner.
void PasswordJob::look_up(std::span<PasswordJob* const> jobs) {
    auto const authority = authority_;
    std::vector<Request*> requests;
    for (auto* job : jobs) requests.push_back(&job->request_);
    authority->look_up(requests, [jobs](std::span<std::size_t const> held_up) {
        for (auto const which : held_up) jobs[which]->go_alone();
        for (auto* job : jobs) { // it may take a while until the last answer is there
            if (!job->request_.looked_up) continue;
            job->judge();
            job->end();
        }
    });
}

void PasswordJob::judge() {
    if (!done_) return;
    try {
        if (request_.looked_up)
            outcome_ = authority_->login_at_hand(request_, authorization_, request_.password);
    } catch (std::exception const& exception) {
        log_->error("auth: login{}: {}", request_.log_name(), exception.what());
    }
    if (!outcome_) go_alone();
}

void PasswordJob::go_alone() {
    std::unique_ptr<Job> job;
    try {
        auto const key = request_.turn();
        auto alone = std::make_unique<PasswordJob>(std::move(*this));
        alone->kind_ = nullptr;
        done_ = nullptr;
        job = std::move(alone);
        if (executor_->submit(key, std::move(job))) return;
        auto& refused = static_cast<PasswordJob&>(*job);
        log_->warning("auth: login{}: too many logins wait, this one is refused for now",
                      refused.request_.log_name());
    } catch (std::exception const& exception) {
        log_->error("auth: a login cannot be looked up alone: {}", exception.what());
    }
    auto& refused = job ? static_cast<PasswordJob&>(*job) : *this;
    refused.outcome_ = Outcome{};
    refused.end();
}

void PasswordJob::end() {
    if (!done_) return;
    request_.looked_up = nullptr;
    std::exchange(done_, nullptr)(std::move(request_), std::move(*outcome_));
}

} // namespace postern::auth_socket
