// RFC 6651: a domain whose signature failed and that asked for it (r=y) gets a report of the message.
#pragma once

#include "common/base/error.h"
#include "common/dns/resolver.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/message/canonical_copy.h"
#include "milter-dkim/results/verified_message.h"

#include <atomic>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace postern::milter_dkim {

// The record at _report._domainkey.DOMAIN.
struct ReportingRecord {
    std::string local_part;             // ra=: who gets reports, at the signature's domain; empty: nobody
    unsigned percent = 100;             // rp=
    std::vector<std::string> requested; // rr=, or ro= as it was before the RFC; empty: every failure
    std::string smtp_text;              // rs=: what a refusal of the message begins with

    // A record is a tag list; tags that cannot be used are as if they were not there.
    static ReportingRecord parse(std::string_view text);
    bool wants(SignatureResult const& result) const;
};

// Absent when the signature does not say r=y, or its domain publishes no such record.
Result<std::optional<ReportingRecord>> reporting_record(Configuration const& configuration,
                                                        dns::Resolver& resolver, SignatureField const& field);

// The message with three parts: words, message/feedback-report, the header.
struct ReportParts {
    std::string from; // the value of From:
    std::string to;
    std::string bcc; // empty: none
    std::time_t now = 0;
};
std::string report_text(ReportParts const& parts, VerifiedMessage const& message, std::size_t failed,
                        CanonicalCopy const& copy);

// From: of reports and the envelope's sender.
struct ReportSender {
    std::string header;
    std::string envelope;
};
ReportSender report_sender(std::string const& report_address);

// Hands reports to MTACommand, a few at a time; what comes meanwhile is told in the log and dropped.
class Reporter {
  public:
    static constexpr int most_at_once = 4;
    static constexpr auto patience = std::chrono::seconds(10); // for the command

    Result<> send(Settings const& settings, ReportSender const& sender, std::string const& text) const;

  private:
    mutable std::atomic<int> running_ = 0;
};

} // namespace postern::milter_dkim
