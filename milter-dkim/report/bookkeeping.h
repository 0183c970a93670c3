// What is written down and sent after a message was verified: DiagnosticDirectory, KeepTemporaryFiles,
// Statistics, SendReports. Nothing of it changes what happens to the message.
#pragma once

#include "common/base/log.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/report/report.h"
#include "milter-dkim/results/verified_message.h"
#include "milter-dkim/verify/atps.h"

#include <ctime>
#include <optional>

namespace postern::milter_dkim {

// Whether the body must be kept for it.
bool wants_body(Settings const& settings);

class Bookkeeper {
  public:
    Bookkeeper(Configuration const& configuration, Reporter const& reporter, Log& log)
        : settings_(configuration.settings), reporter_(reporter), log_(log) {}

    // record: of the first failed signature's domain, when it asks for reports.
    void write_down(VerifiedMessage const& message, Atps atps, std::optional<ReportingRecord> const& record,
                    std::time_t now) const;
    // The canonical forms of one signature, made or verified (KeepTemporaryFiles).
    void keep_copies(std::string_view job_id, SignatureField const& field, std::string_view value,
                     HeaderList const& headers, std::string_view body) const;

  private:
    void report(VerifiedMessage const& message, ReportingRecord const& record, std::time_t now) const;
    void told(VerifiedMessage const& message, Result<> const& done) const;

    Settings const& settings_;
    Reporter const& reporter_;
    Log& log_;
};

} // namespace postern::milter_dkim
