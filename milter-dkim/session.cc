// From connect to the end of the message, as OpenDKIM behaves.
#include "milter-dkim/session.h"

#include "common/base/clock.h"
#include "common/base/text.h"
#include "common/mail/auth_results.h"
#include "milter-dkim/decide/origin.h"
#include "milter-dkim/message/header_rules.h"
#include "milter-dkim/results/forged_results.h"
#include "milter-dkim/tables/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace postern::milter_dkim {

namespace {

using milter::Verdict;

constexpr std::string_view unknown_job = "(unknown-jobid)";

std::string without_brackets(std::string_view path) {
    while (path.size() >= 2 && path.starts_with('<') && path.ends_with('>'))
        path = path.substr(1, path.size() - 2);
    return std::string(path);
}

bool quarantines(Settings const& settings) {
    for (auto const handling : {settings.on_bad_signature, settings.on_dns_error, settings.on_internal_error,
                                settings.on_key_not_found, settings.on_no_signature, settings.on_security,
                                settings.on_signature_error})
        if (handling == Handling::quarantine) return true;
    return settings.quarantine || settings.capture_unknown_errors;
}

} // namespace

milter::Negotiation negotiation(Configuration const& configuration) {
    using namespace milter::bits;
    auto const& settings = configuration.settings;
    milter::Negotiation asked;
    asked.actions = add_headers | set_macro_list;
    if (!settings.keep_auth_results || settings.remove_ar_all || settings.remove_old_signatures)
        asked.actions |= change_headers;
    if (quarantines(settings)) asked.actions |= milter::bits::quarantine;
    if (!settings.redirect_failures_to.empty()) asked.actions |= add_recipients | delete_recipients;
    // What a script may want done must be asked for beforehand.
    if (configuration.final_script)
        asked.actions |= add_recipients | delete_recipients | change_headers | milter::bits::quarantine;
    asked.wanted_steps = no_helo | no_unknown | no_data | skip | leading_space | no_header_reply;
    if (configuration.macros && configuration.macros->rows() != nullptr) {
        std::string names = "i";
        for (auto const& row : *configuration.macros->rows()) names += " {" + row.written + "}";
        asked.macros.emplace_back(macros_end_of_headers, names);
    }
    asked.debug_level = settings.milter_debug;
    return asked;
}

Session::Session(std::shared_ptr<Generation const> generation, milter::Offered offered, Log& log,
                 Outcomes& outcomes)
    : generation_(std::move(generation)), offered_(offered), log_(log), outcomes_(outcomes) {}

Session::~Session() = default;

void Session::write(LogLevel level, std::string_view text) const {
    log_.write(level, fmt::format("{}: {}", message_.job_id.empty() ? unknown_job : message_.job_id, text));
}

void Session::told(Result<> const& done) const {
    if (!done) write(LogLevel::error, done.error().text);
}

std::string_view Session::our_name() const {
    return settings().authserv_id.empty() ? host_name_ : settings().authserv_id;
}

std::string Session::authserv_id() const {
    std::string id(our_name());
    if (settings().authserv_id_with_job_id) id += "/" + message_.job_id;
    return id;
}

Verdict Session::connect(milter::Client const& client, milter::Macros const& macros) {
    client_ = client;
    // Mail from this machine itself comes without an address.
    if (client_.address.empty()) client_.address = "127.0.0.1";
    if (auto name = macros.get("j"); name && !name->empty()) host_name_ = *name;
    if (auto const* peers = generation_->configuration->peer_list.get()) {
        auto const listed = lists_client(*peers, client.host, client.address);
        if (!listed) return Verdict::tempfail();
        if (*listed && settings().keep_auth_results) return Verdict::accept();
        is_peer_ = *listed;
    }
    return Verdict::next();
}

Verdict Session::mail_from(std::string_view path, std::vector<std::string> const&,
                           milter::Macros const& macros) {
    message_ = Message();
    message_.envelope_from = without_brackets(path);
    message_.canonicalization = settings().canonicalization;
    if (auto name = macros.get("j"); name && !name->empty()) host_name_ = *name;
    return Verdict::next();
}

Verdict Session::recipient(std::string_view path, milter::Macros const&) {
    if (message_.recipients.size() >= max_recipients)
        return Verdict::tempfail("452", "4.5.3", "too many recipients");
    message_.recipients.push_back(without_brackets(path));
    return Verdict::next();
}

Verdict Session::header(std::string_view name, std::string_view value, milter::Macros const&) {
    if (message_.too_large || is_peer_) {
        note_results(name, value);
        return Verdict::next();
    }
    message_.header_octets += name.size() + value.size() + 2;
    if (settings().maximum_headers != 0 && message_.header_octets > settings().maximum_headers)
        return too_many_headers(name, value);
    // Protocol 2 takes the blank behind the colon away; nearly every message had one.
    std::string kept = offered_.leading_space ? std::string(value) : " " + std::string(value);
    if (equals_ignoring_case(name, settings().select_canonicalization_header))
        message_.canonicalization = changed_canonicalization(message_.canonicalization, value);
    auto replaced = generation_->configuration->replaced(name, std::move(kept));
    if (!replaced) {
        write(LogLevel::error, replaced.error().text);
        return Verdict::tempfail();
    }
    message_.headers.emplace_back(std::string(name), std::move(*replaced));
    return Verdict::next();
}

// Of a header that is too large nothing else is kept.
void Session::note_results(std::string_view name, std::string_view value) {
    if (!settings().keep_auth_results && is_results_name(name))
        message_.forged.push_back(claims_ours(*generation_->configuration, our_name(), value));
}

Verdict Session::too_many_headers(std::string_view name, std::string_view value) {
    message_.too_large = true;
    message_.forged = forged_results(*generation_->configuration, our_name(), message_.headers);
    message_.headers.clear();
    note_results(name, value);
    write(LogLevel::notice, "too much header data");
    // What the message may still need is done at its end.
    if (settings().on_security == Handling::quarantine || settings().on_security == Handling::accept)
        return Verdict::next();
    return handle(settings().on_security, "7.0", "message header too large", nullptr);
}

Verdict Session::end_of_headers(milter::Macros const& macros) {
    if (message_.too_large) return Verdict::next();
    message_.job_id = macros.get("i").value_or("");
    if (message_.job_id.empty()) message_.job_id = unknown_job;
    if (is_peer_) return pass(macros);
    SetupHook setup;
    if (generation_->configuration->setup_script)
        setup = [&](Decision& decision) { return run_setup_script(decision, macros); };
    message_.decision = decide(*generation_->configuration, facts(macros), setup);
    for (auto const& line : message_.decision.lines)
        if (!line.why || settings().log_why) write(line.level, line.text);
    if (settings().required_headers)
        if (auto const fault = required_headers_fault(message_.headers)) {
            write(LogLevel::info, "RFC5322 header requirement error: " + *fault);
            return Verdict::reject("550", "5.0.0", *fault);
        }
    if (is_malformed()) message_.decision.action = Decision::Action::malformed;
    switch (message_.decision.action) {
    case Decision::Action::pass: return pass(macros);
    case Decision::Action::tempfail: outcomes_.count_tempfail(); return Verdict::tempfail();
    case Decision::Action::malformed:
        return settings().ignore_malformed_mail ? pass(macros) : Verdict::next();
    case Decision::Action::scripted: return after_scripted(macros);
    case Decision::Action::sign:
        start_signing();
        return message_.decision.verifies_too ? start_verifying(macros) : Verdict::next();
    case Decision::Action::verify: return start_verifying(macros);
    }
    return Verdict::tempfail();
}

MessageFacts Session::facts(milter::Macros const& macros) const {
    return {client_.host, client_.address, message_.recipients, &message_.headers,
            [&macros](std::string_view name) { return macros.get(name); }};
}

// Nothing is done with it, except that a stranger may not bring results in our name.
Verdict Session::pass(milter::Macros const& macros) {
    if (!is_peer_)
        message_.forged = forged_results(*generation_->configuration, our_name(), message_.headers);
    if (std::ranges::find(message_.forged, true) == message_.forged.end() ||
        comes_from_us(*generation_->configuration, facts(macros)))
        message_.forged.clear();
    if (message_.forged.empty() && message_.held_for.empty()) return Verdict::accept();
    message_.only_cleans = true;
    return Verdict::next();
}

// StrictHeaders, for what would be signed or verified.
bool Session::is_malformed() {
    auto const action = message_.decision.action;
    if (!settings().strict_headers ||
        (action != Decision::Action::sign && action != Decision::Action::verify))
        return false;
    auto const fault = strict_headers_fault(message_.headers);
    if (fault) write(LogLevel::info, "syntax error: " + *fault);
    return fault.has_value();
}

SigningOptions Session::signing_options() const {
    SigningOptions options;
    options.canonicalization = message_.canonicalization;
    options.ttl = settings().signature_ttl;
    if (settings().maximum_signed_bytes != 0) options.body_limit = settings().maximum_signed_bytes;
    options.copies_headers = settings().diagnostics;
    options.requests_reports = settings().request_reports;
    options.lone_ends = settings().fix_crlf;
    options.tells_length = message_.decision.tells_length;
    if (message_.script) {
        options.tells_length = options.tells_length || message_.script->tells_length;
        if (message_.script->body_limit) options.body_limit = *message_.script->body_limit;
        options.extra_tags = message_.script->tags;
    }
    if (message_.decision.names_third_party) {
        options.atps_domain = message_.decision.sender_domain;
        options.atps_hash = settings().atps_hash_algorithm;
    }
    return options;
}

void Session::start_signing() {
    // What will be removed must not be signed.
    if (settings().remove_old_signatures) {
        auto kept = message_.headers;
        std::erase_if(kept,
                      [](auto const& field) { return equals_ignoring_case(field.first, signature_name); });
        message_.signer.emplace(message_.decision.requests, signing_options(),
                                generation_->configuration->headers, kept);
    } else
        message_.signer.emplace(message_.decision.requests, signing_options(),
                                generation_->configuration->headers, message_.headers);
}

Verdict Session::body(std::string_view chunk) {
    if (wants_body(settings()) && message_.body.size() < max_body_copy)
        message_.body += chunk.substr(0, max_body_copy - message_.body.size());
    if (message_.signer) message_.signer->body(chunk);
    bool const verifies = message_.verifier && message_.verifier->body(chunk);
    return message_.signer || verifies ? Verdict::next() : Verdict::skip();
}

Verdict Session::end_of_message(milter::Editor& editor, milter::Macros const& macros) {
    if (message_.job_id == unknown_job)
        if (auto id = macros.get("i"); id && !id->empty()) message_.job_id = *id;
    if (auto name = macros.get("j"); name && !name->empty()) host_name_ = *name;
    if (!message_.held_for.empty()) told(editor.quarantine(message_.held_for));
    if (message_.too_large || message_.only_cleans) remove_forged_results(editor);
    if (message_.too_large) return handle(settings().on_security, "7.0", "message header too large", &editor);
    if (message_.only_cleans) return Verdict::accept();
    if (message_.verifier || !message_.signer)
        message_.forged = forged_results(*generation_->configuration, our_name(), message_.headers);
    if (message_.decision.action == Decision::Action::malformed) return finish_malformed(editor);
    auto verdict = Verdict::accept();
    if (message_.verifier)
        verdict = finish_verifying(editor, macros);
    else if (!run_final_script(editor, macros, nullptr))
        verdict = *message_.scripted;
    if (message_.signer && verdict.action == Verdict::Action::accept) verdict = finish_signing(editor);
    message_ = Message();
    return verdict;
}

Verdict Session::finish_malformed(milter::Editor& editor) {
    remove_forged_results(editor);
    told(editor.insert_header(0, mail::auth_results_name, malformed_text(authserv_id())));
    return Verdict::accept();
}

void Session::remove_signatures(milter::Editor& editor) {
    int count = 0;
    for (auto const& [name, value] : message_.headers)
        if (equals_ignoring_case(name, signature_name)) ++count;
    // From the last, so that the others keep their numbers.
    for (; count > 0; --count) told(editor.change_header(signature_name, count, ""));
}

Verdict Session::finish_signing(milter::Editor& editor) {
    auto const began = std::chrono::steady_clock::now();
    auto const signatures = message_.signer->finish(generation_->fixed_time.value_or(unix_time()));
    outcomes_.signing_time.observe(seconds_since(began));
    if (!signatures) {
        write(LogLevel::error, "signature generation error: " + signatures.error().text);
        return handle(settings().on_signature_error, "7.0", "DKIM signing error", &editor);
    }
    if (settings().remove_old_signatures) remove_signatures(editor);
    for (auto const& [request, value] : *signatures) {
        if (auto done = editor.insert_header(0, signature_name, value); !done) {
            // Unsigned mail must not leave.
            write(LogLevel::error, done.error().text);
            return Verdict::tempfail();
        }
        outcomes_.count_signed(request->key->algorithm());
        if (settings().syslog_success)
            write(LogLevel::info,
                  fmt::format("DKIM-Signature field added (s={}, d={})", request->selector, request->domain));
    }
    outcomes_.count_signed_message();
    if (settings().keep_temporary_files) keep_signed_copies(*signatures);
    add_software_header(editor);
    return Verdict::accept();
}

void Session::keep_signed_copies(std::vector<Signer::Signature> const& signatures) {
    for (auto const& each : signatures) {
        auto const value = " " + each.value;
        bookkeeper().keep_copies(message_.job_id, SignatureField::read(value), value, message_.headers,
                                 message_.body);
    }
}

// From the last, so that the others keep their numbers.
void Session::remove_forged_results(milter::Editor& editor) {
    for (auto index = message_.forged.size(); index > 0; --index)
        if (message_.forged[index - 1])
            told(editor.change_header(mail::auth_results_name, static_cast<int>(index), ""));
}

// editor is null before the end of the message, where it can only be remembered that it is to be held.
Verdict Session::handle(Handling handling, std::string_view enhanced_tail, std::string_view text,
                        milter::Editor* editor) {
    switch (handling) {
    case Handling::accept: return Verdict::accept();
    case Handling::discard: return Verdict::discard();
    case Handling::quarantine:
        if (editor != nullptr)
            told(editor->quarantine(text));
        else
            message_.held_for = text;
        return Verdict::accept();
    case Handling::reject: return Verdict::reject("550", "5.7.0", std::string(text));
    case Handling::tempfail:
        outcomes_.count_tempfail();
        return Verdict::tempfail("451", fmt::format("4.{}", enhanced_tail), std::string(text));
    }
    return Verdict::tempfail();
}

void Session::add_software_header(milter::Editor& editor) {
    if (!settings().software_header) return;
    told(editor.insert_header(0, "DKIM-Filter",
                              fmt::format("OpenDKIM Filter v2.11.0 {} {}", host_name_, message_.job_id)));
}

void Session::abort() { message_ = Message(); }

} // namespace postern::milter_dkim
