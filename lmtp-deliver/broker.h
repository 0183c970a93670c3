// The process that stays root: it forks a child for each job, which becomes the user before it touches a
// file.
#pragma once

#include "common/base/log.h"
#include "common/net/descriptor.h"
#include "lmtp-deliver/executor.h"
#include "lmtp-deliver/job.h"

#include <sys/types.h>

namespace postern::lmtp_deliver {

// The client's patience after its data is 600 s (lmtp_data_done_timeout). A child that takes longer is ended,
// so that it cannot store a copy after the answer.
inline constexpr unsigned job_seconds = 540;

// Started while the program has one thread. A child's death, a job that cannot be sent: the copies it has not
// told of failed for now.
class Broker final : public Executor {
  public:
    // Forks. The parent gets the handle; the child serves jobs and does not return.
    // Jobs for uids below lowest_uid, and for root, are refused whoever sends them.
    static Result<Broker> start(Depositor& depositor, Log& log, uid_t lowest_uid);
    Broker(Broker&&) noexcept = default;
    ~Broker() override = default; // the process ends when the socket closes

    std::vector<Outcome> deposit(Spool& message, std::span<Plan const> plans) override;
    std::optional<Outcome> refusal(Plan const& plan) override;
    // False when the process is gone.
    bool alive() const;

  private:
    Broker(net::Descriptor jobs, pid_t process, Log& log)
        : jobs_(std::move(jobs)), process_(process), log_(&log) {}
    Result<std::vector<Outcome>> run(Job const& job, int message);

    net::Descriptor jobs_; // SOCK_SEQPACKET: one packet a job
    pid_t process_;
    Log* log_;
};

} // namespace postern::lmtp_deliver
