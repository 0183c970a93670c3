// One connection of the MTA: the milter's callbacks, turned into signing or verifying.
#pragma once

#include "common/base/log.h"
#include "common/dns/resolver.h"
#include "common/milter/session.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/decide/decision.h"
#include "milter-dkim/lua/scripts.h"
#include "milter-dkim/report/bookkeeping.h"
#include "milter-dkim/report/outcomes.h"
#include "milter-dkim/sign/signer.h"
#include "milter-dkim/verify/verifier.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dkim {

// What one reading of the configuration gave, and what works by it. Sessions keep theirs to the end.
struct Generation {
    std::shared_ptr<Configuration const> configuration;
    std::shared_ptr<dns::Resolver> resolver;
    std::shared_ptr<Reporter const> reporter = std::make_shared<Reporter>();
    std::optional<std::int64_t> fixed_time; // signatures are made then (opendkim -F)
};

// What is asked of the MTA under these settings.
milter::Negotiation negotiation(Configuration const& configuration);

inline constexpr std::size_t max_recipients = 100000; // remembered of one message; Postfix allows 1,000

class Session final : public milter::Session {
  public:
    Session(std::shared_ptr<Generation const> generation, milter::Offered offered, Log& log,
            Outcomes& outcomes);
    ~Session() override;

    milter::Verdict connect(milter::Client const& client, milter::Macros const& macros) override;
    milter::Verdict mail_from(std::string_view path, std::vector<std::string> const& arguments,
                              milter::Macros const& macros) override;
    milter::Verdict recipient(std::string_view path, milter::Macros const& macros) override;
    milter::Verdict header(std::string_view name, std::string_view value,
                           milter::Macros const& macros) override;
    milter::Verdict end_of_headers(milter::Macros const& macros) override;
    milter::Verdict body(std::string_view chunk) override;
    milter::Verdict end_of_message(milter::Editor& editor, milter::Macros const& macros) override;
    void abort() override;

  private:
    struct Message {
        std::string job_id;
        std::string envelope_from;
        std::vector<std::string> recipients;
        HeaderList headers;
        std::size_t header_octets = 0;
        Canonicalization canonicalization;
        Decision decision;
        std::optional<Signer> signer;
        std::unique_ptr<Verifier> verifier;
        std::unique_ptr<lua::ScriptMessage> script; // null without scripts
        std::optional<milter::Verdict> scripted;    // what a script has said becomes of the message
        std::string body;                           // as far as somebody will look at it
        bool too_large = false;
        bool only_cleans = false; // passes, but for the results that a stranger forged
        std::string held_for;     // why it is to be held, from before its end on
        std::vector<bool> forged; // of the Authentication-Results, from the top
    };

    lua::ScriptMessage& script(milter::Macros const& macros);
    // False: the script has said what becomes of the message, or failed; scripted tells.
    bool run_script(std::optional<lua::Script> const& script, lua::Hook hook, milter::Editor* editor);
    std::optional<Decision::Action> run_setup_script(Decision& decision, milter::Macros const& macros);
    milter::Verdict run_screen_script(milter::Macros const& macros);
    milter::Verdict after_scripted(milter::Macros const& macros);
    void show_signatures(std::vector<SignatureResult> const* results);
    bool has_broken_signature() const;
    void start_signing();
    milter::Verdict start_verifying(milter::Macros const& macros);
    milter::Verdict finish_signing(milter::Editor& editor);
    milter::Verdict finish_verifying(milter::Editor& editor, milter::Macros const& macros);
    bool run_final_script(milter::Editor& editor, milter::Macros const& macros,
                          std::vector<SignatureResult> const* results);
    milter::Verdict finish_malformed(milter::Editor& editor);
    milter::Verdict too_many_headers(std::string_view name, std::string_view value);
    void note_results(std::string_view name, std::string_view value);
    bool is_malformed();
    SigningOptions signing_options() const;
    VerifiedMessage verified_message() const;
    std::optional<ReportingRecord> failure_record(VerifiedMessage const& verified);
    void keep_signed_copies(std::vector<Signer::Signature> const& signatures);
    void remove_signatures(milter::Editor& editor);
    void remove_forged_results(milter::Editor& editor);
    milter::Verdict pass(milter::Macros const& macros);
    MessageFacts facts(milter::Macros const& macros) const;
    std::string_view our_name() const;
    void log_results(std::vector<SignatureResult> const& results);
    milter::Verdict after(VerifiedMessage const& verified, std::optional<ReportingRecord> const& record,
                          milter::Editor& editor);
    milter::Verdict after_bad_signature(SignatureResult const& selected,
                                        std::optional<ReportingRecord> const& record, milter::Editor& editor);
    milter::Verdict handle(Handling handling, std::string_view enhanced_tail, std::string_view text,
                           milter::Editor* editor);
    Result<> redirect(milter::Editor& editor);
    Bookkeeper bookkeeper() const { return {*generation_->configuration, *generation_->reporter, log_}; }
    void add_software_header(milter::Editor& editor);
    void write(LogLevel level, std::string_view text) const;
    void told(Result<> const& done) const;
    std::string authserv_id() const;
    Settings const& settings() const { return generation_->configuration->settings; }

    std::shared_ptr<Generation const> generation_;
    milter::Offered offered_;
    Log& log_;
    Outcomes& outcomes_;
    milter::Client client_;
    std::string host_name_ = "unknown-host"; // {j}
    bool is_peer_ = false;
    Message message_;
};

} // namespace postern::milter_dkim
