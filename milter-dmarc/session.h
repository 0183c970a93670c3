// One SMTP connection as OpenDMARC's filter sees it: collects the header, judges at the end of each message.
#pragma once

#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/milter/session.h"
#include "milter-dmarc/decision.h"
#include "milter-dmarc/hosts.h"
#include "milter-dmarc/inputs.h"
#include "milter-dmarc/settings.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace postern::milter_dmarc {

// SPFSelfValidate: checks the envelope itself. Results as in Authentication-Results; never fails, a DNS that
// cannot be asked is "temperror".
using SpfCheck = std::function<SpfIdentity(Envelope const&, Deadline)>;

// The settings and what was made of them; one for all connections until the next reload.
struct Configuration {
    Settings settings;
    HostList ignored_hosts = HostList::standard();
    std::shared_ptr<mail::PublicSuffixes const> suffixes;
    std::shared_ptr<dns::Resolver> resolver;
    SpfCheck check_spf;
};

// Counts what became of messages.
class Outcomes {
  public:
    explicit Outcomes(Metrics& metrics) : metrics_(metrics) {}
    void count(DmarcResult result, Action action);

  private:
    Metrics& metrics_;
};

class Session final : public milter::Session {
  public:
    // sample gives 0 to 99, for pct.
    Session(std::shared_ptr<Configuration const> configuration, Log& log, Outcomes& outcomes,
            std::function<unsigned()> sample);

    milter::Verdict connect(milter::Client const& client, milter::Macros const& macros) override;
    milter::Verdict helo(std::string_view name, milter::Macros const& macros) override;
    milter::Verdict mail_from(std::string_view path, std::vector<std::string> const& arguments,
                              milter::Macros const& macros) override;
    milter::Verdict header(std::string_view name, std::string_view value,
                           milter::Macros const& macros) override;
    milter::Verdict end_of_message(milter::Editor& editor, milter::Macros const& macros) override;
    void abort() override;

    static constexpr mail::HeaderLimits header_limits{.fields = 2000, .octets = std::size_t{1024} * 1024};
    static constexpr std::chrono::seconds message_time{30};

  private:
    struct Names { // of this message, from the MTA
        std::string job_id;
        std::string host;
        std::string authserv_id;
    };
    Names names_of(milter::Macros const& macros) const;
    std::optional<milter::Verdict> early_verdict(Names const& names, Authors const& authors);
    Inputs inputs_of(Names const& names) const;
    std::optional<std::string> check_spf(Names const& names, Identities& identities, Deadline deadline) const;
    Result<> record(Names const& names, Judgement const& judgement, Identities const& identities,
                    Action action) const;
    Result<> edit(milter::Editor& editor, Names const& names, Judgement const& judgement,
                  Decision const& decision, std::optional<std::string> const& spf_field) const;
    void log_outcome(Names const& names, Judgement const& judgement, Decision const& decision) const;

    std::shared_ptr<Configuration const> configuration_;
    Log& log_;
    Outcomes& outcomes_;
    std::function<unsigned()> sample_;
    Envelope envelope_;
    mail::Headers headers_{header_limits};
    bool header_overflow_ = false;
};

// What the filter asks of the MTA.
milter::Negotiation negotiation(Settings const& settings);

} // namespace postern::milter_dmarc
