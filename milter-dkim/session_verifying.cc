// The verifying half of a session: what is looked at, told and done about a message's signatures.
#include "common/base/text.h"
#include "common/mail/auth_results.h"
#include "milter-dkim/session.h"
#include "milter-dkim/verify/atps.h"

#include <fmt/format.h>

#include <chrono>
#include <ctime>

namespace postern::milter_dkim {

using milter::Verdict;

namespace {

// As OpenDKIM tells it.
std::string bad_signature_line(SignatureResult const& selected, std::string const& trouble) {
    if (selected.reason == "key revoked")
        return fmt::format("key revoked (s={}, d={}, a={})", printable(selected.selector),
                           printable(selected.domain), printable(selected.algorithm));
    return trouble.empty() ? "bad signature data" : "signature processing failed: " + trouble;
}

} // namespace

Verdict Session::start_verifying(milter::Macros const& macros) {
    message_.verifier = std::make_unique<Verifier>(*generation_->configuration, *generation_->resolver,
                                                   message_.headers, message_.decision.sender_domain);
    if (!settings().weak_syntax_checks && has_broken_signature()) {
        auto const handling = settings().on_bad_signature;
        if (handling != Handling::accept && handling != Handling::quarantine)
            return handle(handling, "7.0", "DKIM signature syntax error", nullptr);
    }
    return run_screen_script(macros);
}

bool Session::has_broken_signature() const {
    for (std::size_t i = 0; i < message_.verifier->signature_count(); ++i) {
        auto const& error = message_.verifier->signature_field(i).error;
        if (error.empty()) continue;
        write(LogLevel::error, "syntax error: " + error);
        return true;
    }
    return false;
}

Verdict Session::finish_verifying(milter::Editor& editor, milter::Macros const& macros) {
    remove_forged_results(editor);
    auto const began = std::chrono::steady_clock::now();
    auto const results = message_.verifier->finish();
    outcomes_.verifying_time.observe(seconds_since(began));
    for (auto const& each : results) outcomes_.count(each, message_.decision.sender_domain);
    outcomes_.count_verified_message(!results.empty());
    log_results(results);
    auto verified = verified_message();
    verified.results = results;
    auto const atps = check_atps(*generation_->configuration, *generation_->resolver, verified);
    if (!results.empty() || settings().always_add_ar_header)
        told(editor.insert_header(
            0, mail::auth_results_name,
            results_text({authserv_id(), settings().no_header_b, offered_.leading_space, to_string(atps)},
                         results)));
    auto const record = failure_record(verified);
    bookkeeper().write_down(verified, atps, record, std::time(nullptr));
    if (!run_final_script(editor, macros, &verified.results)) return *message_.scripted;
    if (!message_.signer) add_software_header(editor);
    return after(verified, record, editor);
}

VerifiedMessage Session::verified_message() const {
    VerifiedMessage verified;
    verified.job_id = message_.job_id;
    verified.our_host = host_name_;
    verified.client_address = client_.address;
    verified.envelope_from = message_.envelope_from;
    verified.sender_domain = message_.decision.sender_domain;
    verified.headers = &message_.headers;
    for (std::size_t i = 0; i < message_.verifier->signature_count(); ++i)
        verified.signatures.push_back(&message_.verifier->signature_field(i));
    for (auto const& [name, value] : message_.headers)
        if (equals_ignoring_case(name, signature_name)) verified.signature_values.push_back(&value);
    verified.body = message_.body;
    return verified;
}

// Asked for only when something is to be done with it.
std::optional<ReportingRecord> Session::failure_record(VerifiedMessage const& verified) {
    auto const failed = verified.first_failed();
    auto const handling = settings().on_bad_signature;
    bool const refuses = handling == Handling::reject || handling == Handling::tempfail;
    if (message_.verifier->outcome() != Verifier::Outcome::bad_signature || failed == VerifiedMessage::none ||
        (!settings().send_reports && !refuses))
        return std::nullopt;
    auto record =
        reporting_record(*generation_->configuration, *generation_->resolver, *verified.signatures[failed]);
    if (record) return std::move(*record);
    write(LogLevel::notice, "no report: " + record.error().text);
    return std::nullopt;
}

void Session::log_results(std::vector<SignatureResult> const& results) {
    if (results.size() > 1) {
        std::string domains;
        for (auto const& each : results)
            domains +=
                (domains.empty() ? "" : ", ") + printable(each.domain.empty() ? "(null)" : each.domain, 100);
        write(LogLevel::info, "message has signatures from " + domains);
    }
    if (settings().log_results && !results.empty()) {
        std::string line;
        for (auto const& each : results)
            line +=
                fmt::format("{}signature={} domain={} selector={} result=\"{}\"", line.empty() ? "" : "; ",
                            printable(each.signature), printable(each.domain), printable(each.selector),
                            each.kind == SignatureResult::Kind::pass ? "no signature error"
                            : each.reason.empty()                    ? to_string(each.kind)
                                                                     : each.reason);
        write(LogLevel::info, line);
    }
}

Verdict Session::after(VerifiedMessage const& verified, std::optional<ReportingRecord> const& record,
                       milter::Editor& editor) {
    auto const& results = verified.results;
    auto const selected = results.empty() ? SignatureResult() : results.front();
    auto const where = fmt::format("(s={}, d={})", printable(selected.selector), printable(selected.domain));
    auto const& trouble = message_.verifier->trouble();
    switch (message_.verifier->outcome()) {
    case Verifier::Outcome::good:
        if (settings().syslog_success) write(LogLevel::info, "DKIM verification successful");
        return Verdict::accept();
    case Verifier::Outcome::no_signature:
        if (settings().log_why || settings().on_no_signature != Handling::accept)
            write(settings().on_no_signature == Handling::accept ? LogLevel::debug : LogLevel::notice,
                  "no signature data");
        return handle(settings().on_no_signature, "7.0", "no DKIM signature data", &editor);
    case Verifier::Outcome::tolerated:
        for (auto const& each : results)
            if (each.tolerated)
                write(LogLevel::info,
                      "signature not counted: " + (each.reason.empty() ? each.why : each.reason));
        return Verdict::accept();
    case Verifier::Outcome::bad_signature: return after_bad_signature(selected, record, editor);
    case Verifier::Outcome::key_not_found:
        write(LogLevel::error, fmt::format("key retrieval failed {}: no such key", where));
        return handle(settings().on_key_not_found, "7.5", "DKIM key retrieval failed", &editor);
    case Verifier::Outcome::dns_error:
        write(LogLevel::error, fmt::format("key retrieval failed {}: {}", where, trouble));
        return handle(settings().on_dns_error, "7.5", "DKIM key retrieval failed", &editor);
    case Verifier::Outcome::internal_error:
        write(LogLevel::error, "internal error: " + trouble);
        if (settings().capture_unknown_errors) {
            told(editor.quarantine("capture requested"));
            return Verdict::accept();
        }
        return handle(settings().on_internal_error, "7.0", "internal DKIM error", &editor);
    }
    return Verdict::tempfail();
}

Verdict Session::after_bad_signature(SignatureResult const& selected,
                                     std::optional<ReportingRecord> const& record, milter::Editor& editor) {
    write(LogLevel::notice, bad_signature_line(selected, message_.verifier->trouble()));
    if (message_.verifier->test_key()) return Verdict::accept();
    if (settings().quarantine) told(editor.quarantine("DKIM signature failed to verify"));
    if (!settings().redirect_failures_to.empty())
        if (auto const done = redirect(editor); !done) {
            write(LogLevel::error, done.error().text);
            return Verdict::tempfail();
        }
    auto const prefix = record && !record->smtp_text.empty() ? record->smtp_text + ": " : std::string();
    return handle(settings().on_bad_signature, "7.0", prefix + "bad DKIM signature data", &editor);
}

// Half of it would let the message through to whom it was sent.
Result<> Session::redirect(milter::Editor& editor) {
    for (auto const& recipient : message_.recipients) {
        if (auto done = editor.delete_recipient("<" + recipient + ">"); !done) return done;
        if (auto done = editor.add_header("Original-Recipient", "rfc822;" + printable(recipient)); !done)
            return done;
    }
    return editor.add_recipient("<" + settings().redirect_failures_to + ">");
}

} // namespace postern::milter_dkim
