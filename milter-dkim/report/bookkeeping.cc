// Writes to files and to MTACommand; what fails is a line in the log.
#include "milter-dkim/report/bookkeeping.h"

#include "milter-dkim/report/diagnosis.h"
#include "milter-dkim/report/statistics.h"

#include <unistd.h>

#include <array>
#include <random>

namespace postern::milter_dkim {

namespace {

std::string reporter_name(Settings const& settings) {
    if (!settings.statistics_name.empty()) return settings.statistics_name;
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "unknown";
}

// rp= percent of the failures are reported.
bool is_drawn(unsigned percent) {
    if (percent >= 100) return true;
    std::random_device source;
    return std::uniform_int_distribution<unsigned>(0, 99)(source) < percent;
}

} // namespace

bool wants_body(Settings const& settings) { return settings.send_reports || settings.keep_temporary_files; }

void Bookkeeper::told(VerifiedMessage const& message, Result<> const& done) const {
    if (!done) log_.error("{}: {}", message.job_id, done.error().text);
}

void Bookkeeper::write_down(VerifiedMessage const& message, Atps atps,
                            std::optional<ReportingRecord> const& record, std::time_t now) const {
    if (!settings_.diagnostic_directory.empty())
        told(message, write_diagnosis(message, settings_.diagnostic_directory));
    if (!settings_.statistics.empty())
        told(message, append_statistics(settings_.statistics,
                                        statistics_record(message, atps, reporter_name(settings_), now)));
    if (settings_.keep_temporary_files)
        for (std::size_t i = 0; i < message.signatures.size(); ++i)
            keep_copies(message.job_id, *message.signatures[i], *message.signature_values[i],
                        *message.headers, message.body);
    if (settings_.send_reports && record) report(message, *record, now);
}

void Bookkeeper::keep_copies(std::string_view job_id, SignatureField const& field, std::string_view value,
                             HeaderList const& headers, std::string_view body) const {
    auto const copy = canonical_copy(field, value, headers, body, settings_.fix_crlf);
    if (auto const done = write_copies(copy, settings_.temporary_directory, job_id); !done)
        log_.error("{}: {}", job_id, done.error().text);
}

void Bookkeeper::report(VerifiedMessage const& message, ReportingRecord const& record,
                        std::time_t now) const {
    auto const failed = message.first_failed();
    if (failed == VerifiedMessage::none || record.local_part.empty() ||
        !record.wants(message.results[failed]) || !is_drawn(record.percent))
        return;
    auto const sender = report_sender(settings_.report_address);
    ReportParts const parts{sender.header, record.local_part + "@" + message.results[failed].domain,
                            settings_.report_bcc_address, now};
    auto const copy = canonical_copy(*message.signatures[failed], *message.signature_values[failed],
                                     *message.headers, message.body, settings_.fix_crlf);
    told(message, reporter_.send(settings_, sender, report_text(parts, message, failed, copy)));
}

} // namespace postern::milter_dkim
