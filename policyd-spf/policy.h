// What to answer: the order of checks, which results are refused, one header field for a message.
#pragma once

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/dns/resolver.h"
#include "common/spf/check.h"
#include "policyd-spf/answers.h"
#include "policyd-spf/instances.h"
#include "policyd-spf/per_user.h"
#include "policyd-spf/protocol.h"
#include "policyd-spf/rules.h"
#include "policyd-spf/settings.h"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace postern::policyd_spf {

// What all connections share. Thread-safe.
struct Shared {
    dns::Resolver& resolver;
    spf::Checker const& checker;
    Log& log;
    Metrics& metrics;
};

// One connection's view of the policy.
class Policy {
  public:
    // Everything for one request together, well under smtpd_policy_service_timeout (100 s).
    static constexpr std::chrono::seconds total_time{80};

    Policy(std::shared_ptr<Settings const> settings, Shared shared)
        : settings_(std::move(settings)), shared_(shared) {}

    // The whole reply, "action=...\n\n". Logs what stock logs.
    std::string reply_to(Request const& request);
    Settings const& settings() const { return *settings_; }

  private:
    struct Case; // one request on its way through the checks

    PerUser per_user_settings(Request const& request);
    void log_answer(Request const& request, Answer const& answer, Settings const& settings);
    Answer answer(Request const& request, Settings const& settings, bool per_user);
    std::string receiver_of(Request const& request, Settings const& settings) const;
    Answer check(Case& at);
    std::optional<Answer> skip_answer(Case& at);
    std::optional<Answer> helo_answer(Case& at);
    Answer mail_from_answer(Case& at);
    Answer refusal(Case& at, Finding const& finding, Answer::Kind kind);
    Finding find(Case& at, Scope scope);
    bool is_no_mail_domain(Case& at, Scope scope);
    void hint_at_private_client(Case const& at, Finding const& finding);
    void log_finding(Case const& at, Rules const& rules, Finding const& finding);
    void log_details(Case const& at, Finding const& finding);

    std::shared_ptr<Settings const> settings_;
    Shared shared_;
    Instances instances_;
    bool hinted_ = false; // once a connection is enough
};

} // namespace postern::policyd_spf
