// Writes reports (RFC 6591, RFC 6651 4) in OpenDKIM's words, and hands them over.
#include "milter-dkim/report/report.h"

#include "common/base/clock.h"
#include "common/base/encoding.h"
#include "common/base/text.h"
#include "common/mail/address.h"
#include "milter-dkim/message/sender.h"
#include "milter-dkim/report/run_command.h"
#include "milter-dkim/results/signature_numbers.h"

#include <fmt/format.h>

#include <pwd.h>
#include <unistd.h>

#include <array>

namespace postern::milter_dkim {

namespace {

constexpr std::size_t margin = 71; // OpenDKIM folds before column 75, four at a time
constexpr std::size_t indent = 4;

std::string folded_base64(std::string_view octets, std::size_t column) {
    auto const text = base64_encode(octets);
    std::string out;
    for (std::size_t i = 0; i < text.size(); i += 4) {
        if (column >= margin) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
        }
        out += text.substr(i, 4);
        column += 4;
    }
    return out;
}

std::string failure_of(SignatureResult const& result) {
    if (result.body_hash == 1) return "bodyhash";
    if (result.error == signature_error_number("KEYREVOKED")) return "revoked";
    if (result.error == signature_error_number("BADSIG")) return "signature";
    return result.kind == SignatureResult::Kind::permerror ? "syntax" : "other";
}

std::string auth_failure_of(SignatureResult const& result) {
    auto const failure = failure_of(result);
    if (failure == "bodyhash" || failure == "revoked") return failure;
    return result.reason.empty() ? "signature" : fmt::format("signature ({})", result.reason);
}

std::string date_of(std::time_t now) {
    std::tm parts{};
    ::localtime_r(&now, &parts);
    std::array<char, 64> text{};
    auto const size = std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S %z", &parts);
    return {text.data(), size};
}

std::string host_name() {
    std::array<char, 256> name{};
    return ::gethostname(name.data(), name.size() - 1) == 0 ? std::string(name.data()) : "localhost";
}

std::string user_name() {
    passwd entry{};
    passwd* found = nullptr;
    std::array<char, 4096> buffer{};
    if (::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
        return std::to_string(::geteuid());
    return found->pw_name;
}

std::string feedback(VerifiedMessage const& message, SignatureResult const& failed, std::string const& date,
                     CanonicalCopy const& copy) {
    auto const* id = find_header(*message.headers, "Message-ID");
    std::string text;
    auto const line = [&](std::string_view name, std::string_view value) {
        text += fmt::format("{}: {}\n", name, value);
    };
    line("User-Agent", "OpenDKIM-Filter/2.11.0");
    line("Version", "1"); // RFC 5965 3.1
    line("Original-Envelope-Id", message.job_id);
    line("Original-Mail-From", printable(message.envelope_from));
    line("Reporting-MTA", message.our_host);
    line("Source-IP", message.client_address);
    line("Message-ID", id == nullptr ? "(none)" : printable(trim(*id)));
    line("Arrival-Date", date);
    line("Reported-Domain", failed.domain);
    line("Delivery-Result", "other");
    line("Feedback-Type", "auth-failure");
    line("Auth-Failure", auth_failure_of(failed));
    line("DKIM-Failure", failure_of(failed));
    line("DKIM-Domain", failed.domain);
    line("DKIM-Selector", failed.selector);
    line("DKIM-Identity", printable(failed.identity));
    line("DKIM-Canonicalized-Header", folded_base64(copy.header, 27));
    line("DKIM-Canonicalized-Body", folded_base64(copy.body, 25));
    return text;
}

} // namespace

std::string report_text(ReportParts const& parts, VerifiedMessage const& message, std::size_t failed,
                        CanonicalCopy const& copy) {
    auto const date = date_of(parts.now);
    auto const boundary = fmt::format("dkimreport/{}/{}", message.our_host, printable(message.job_id, 100));
    auto text = fmt::format("From: {}\nTo: {}\n", parts.from, parts.to);
    if (!parts.bcc.empty()) text += fmt::format("Bcc: {}\n", parts.bcc);
    text += fmt::format("Date: {}\nSubject: DKIM failure report for {}\nMIME-Version: 1.0\n"
                        "Content-Type: multipart/report; report-type=feedback-report;\n\tboundary=\"{}\"\n\n",
                        date, message.job_id, boundary);
    text += fmt::format("--{}\nContent-Type: text/plain\n\nDKIM failure report for job {} on {}\n\n"
                        "The canonicalized form of the failed message's header and body are\nattached.\n\n",
                        boundary, message.job_id, message.our_host);
    text += fmt::format("--{}\nContent-Type: message/feedback-report\n\n{}\n", boundary,
                        feedback(message, message.results[failed], date, copy));
    text += fmt::format("--{}\nContent-Type: text/rfc822-headers\n\n", boundary);
    for (auto const& [name, value] : *message.headers) text += fmt::format("{}:{}\n", name, value);
    return text + fmt::format("\n--{}--\n", boundary);
}

ReportSender report_sender(std::string const& report_address) {
    if (auto const read = mail::parse_mailboxes(report_address); read && read->size() == 1)
        if (!read->front().domain.empty()) return {report_address, read->front().address()};
    auto const own = user_name() + "@" + host_name();
    return {own, own};
}

Result<> Reporter::send(Settings const& settings, ReportSender const& sender, std::string const& text) const {
    if (running_.fetch_add(1) >= most_at_once) {
        running_.fetch_sub(1);
        return temporary("report dropped: others are still being sent");
    }
    std::vector<std::string> arguments;
    for (auto const word : split_words(settings.mta_command)) arguments.emplace_back(word);
    arguments.insert(arguments.end(), {"-t", "-f" + sender.envelope});
    auto done = run_program(arguments, {}, text, Deadline::after(patience));
    running_.fetch_sub(1);
    return done;
}

} // namespace postern::milter_dkim
