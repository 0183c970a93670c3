// One SMTP connection as OpenDMARC's filter sees it.
#include "milter-dmarc/session.h"

#include "common/base/text.h"
#include "common/mail/address.h"
#include "common/mail/auth_results.h"
#include "common/mail/domain.h"
#include "milter-dmarc/required_headers.h"

#include <fmt/format.h>

#include <algorithm>

namespace postern::milter_dmarc {

using milter::Verdict;

namespace {

std::string_view to_string(Action action) {
    switch (action) {
    case Action::reject: return "reject";
    case Action::discard: return "discard";
    case Action::accept: return "accept";
    case Action::tempfail: return "tempfail";
    case Action::quarantine: return "quarantine";
    }
    return {};
}

bool is_ignored(std::string const& author, Settings const& settings) {
    auto const& ignored = settings.ignore_mail_from;
    return std::ranges::find(ignored, author) != ignored.end();
}

Verdict temporary_failure() { return Verdict::tempfail("451", "4.7.1", "DMARC cannot be checked now"); }

} // namespace

void Outcomes::count(DmarcResult result, Action action) {
    metrics_
        .counter(
            "postern_dmarc_messages_total", "Messages by DMARC result and what was done with them.",
            fmt::format("result=\"{}\",action=\"{}\"", milter_dmarc::to_string(result), to_string(action)))
        .add();
}

Session::Session(std::shared_ptr<Configuration const> configuration, Log& log, Outcomes& outcomes,
                 std::function<unsigned()> sample)
    : configuration_(std::move(configuration)), log_(log), outcomes_(outcomes), sample_(std::move(sample)) {}

Verdict Session::connect(milter::Client const& client, milter::Macros const&) {
    envelope_.client_host = client.host;
    // No address is local submission, which is loopback to the replaced program too.
    envelope_.client_address = client.address.empty() ? "127.0.0.1" : client.address;
    if (!configuration_->ignored_hosts.contains(client.host, envelope_.client_address))
        return Verdict::next();
    log_.info("ignoring connection from {} [{}]", printable(client.host), envelope_.client_address);
    return Verdict::accept();
}

Verdict Session::helo(std::string_view name, milter::Macros const&) {
    envelope_.helo = name;
    return Verdict::next();
}

Verdict Session::mail_from(std::string_view path, std::vector<std::string> const&,
                           milter::Macros const& macros) {
    abort();
    auto const mailbox = mail::parse_path(path);
    envelope_.sender = mailbox ? mailbox->address() : std::string(trim(path));
    envelope_.sender_domain = mailbox ? mail::normal_domain(mailbox->domain).value_or("") : "";
    bool const authenticated = !macros.get("{auth_authen}").value_or("").empty();
    return configuration_->settings.ignore_authenticated_clients && authenticated ? Verdict::accept()
                                                                                  : Verdict::next();
}

Verdict Session::header(std::string_view name, std::string_view value, milter::Macros const&) {
    if (is_kept_field(name) && !headers_.add(mail::HeaderField(name, value))) header_overflow_ = true;
    return Verdict::next();
}

void Session::abort() {
    envelope_.sender.clear();
    envelope_.sender_domain.clear();
    headers_ = mail::Headers(header_limits);
    header_overflow_ = false;
}

Session::Names Session::names_of(milter::Macros const& macros) const {
    Names names;
    names.job_id = macros.get("i").value_or("(unknown-jobid)");
    names.host = macros.get("j").value_or(host_name());
    auto const& configured = configuration_->settings.authserv_id;
    names.authserv_id = configured.empty() ? names.host : configured;
    if (configured.empty()) log_.debug("implicit authentication service: {}", names.authserv_id);
    return names;
}

// What settles the message before any question is asked.
std::optional<Verdict> Session::early_verdict(Names const& names, Authors const& authors) {
    auto const& settings = configuration_->settings;
    auto plain_reject = Verdict{Verdict::Action::reject, {}, {}, {}};
    if (auto const error = requirement_error(headers_); error && settings.required_headers) {
        log_.info("{}: RFC5322 requirement error: {}", names.job_id, *error);
        return plain_reject;
    }
    if (authors.domains.empty()) {
        log_.info("{}: {}", names.job_id,
                  authors.malformed ? "unable to parse From header field" : "no author domain in From");
        if (settings.required_headers || settings.required_from) return plain_reject;
    }
    if (authors.domains.size() > 1) {
        log_.info("{}: multi-valued From field detected", names.job_id);
        if (settings.reject_multi_value_from) return plain_reject;
    }
    if (authors.is_single() && is_ignored(authors.domains[0], settings)) {
        log_.info("{}: ignoring mail from {}", names.job_id, authors.domains[0]);
        return Verdict::accept();
    }
    return std::nullopt;
}

Inputs Session::inputs_of(Names const& names) const {
    auto const& settings = configuration_->settings;
    Trust trust;
    trust.authserv_ids = settings.trusted_authserv_ids;
    trust.authserv_ids.insert(trust.authserv_ids.begin(), names.authserv_id);
    if (settings.authserv_id_with_job_id) trust.job_id = names.job_id;
    trust.authentication_results_spf = !settings.spf_ignore_results;
    trust.received_spf = !settings.spf_ignore_results && settings.trust_received_spf;
    auto inputs = read_inputs(headers_, envelope_, trust);
    for (auto const& id : inputs.ignored)
        log_.debug("{} ignoring Authentication-Results from {}", names.job_id, printable(id, 80));
    return inputs;
}

// SPFSelfValidate: fills in the missing SPF identity and gives the header field that says so.
std::optional<std::string> Session::check_spf(Names const& names, Identities& identities,
                                              Deadline deadline) const {
    if (identities.spf || !configuration_->settings.spf_self_validate || !configuration_->check_spf)
        return std::nullopt;
    identities.spf = configuration_->check_spf(envelope_, deadline);
    bool const by_helo = envelope_.sender.empty();
    log_.info("{}: SPF({}): {} {}", names.job_id, by_helo ? "helo" : "mailfrom",
              printable(identities.spf->domain), identities.spf->result);
    mail::AuthResult const spf{"spf",
                               identities.spf->result,
                               {},
                               {},
                               {{"smtp", by_helo ? "helo" : "mailfrom", identities.spf->domain}}};
    return mail::make_auth_results({names.authserv_id, {spf}}, 0);
}

Result<> Session::record(Names const& names, Judgement const& judgement, Identities const& identities,
                         Action action) const {
    auto const& settings = configuration_->settings;
    bool const wanted = !settings.history_file.empty() && !judgement.author.empty() &&
                        action != Action::tempfail &&
                        (judgement.evaluation.found || settings.record_all_messages);
    if (!wanted) return {};
    auto const text = history_text({names.job_id, names.host, unix_time(), judgement.author, envelope_,
                                    identities, judgement.evaluation, action});
    return append_history(settings.history_file, text, Deadline::after(std::chrono::seconds(10)));
}

Result<> Session::edit(milter::Editor& editor, Names const& names, Judgement const& judgement,
                       Decision const& decision, std::optional<std::string> const& spf_field) const {
    auto const& settings = configuration_->settings;
    auto const id =
        settings.authserv_id_with_job_id ? names.authserv_id + "/" + names.job_id : names.authserv_id;
    if (spf_field)
        if (auto done = editor.insert_header(0, mail::auth_results_name, *spf_field); !done) return done;
    if (decision.copies_failure)
        if (auto done = editor.add_recipient("<" + settings.copy_failures_to + ">"); !done) return done;
    if (decision.action == Action::quarantine)
        if (auto done = editor.quarantine(decision.hold_reason); !done) return done;
    if (auto done = editor.insert_header(0, mail::auth_results_name, results_field(id, judgement, decision));
        !done)
        return done;
    if (!settings.software_header) return {};
    return editor.insert_header(
        0, "DMARC-Filter",
        fmt::format("Postern milter-dmarc v{} {} {}", POSTERN_VERSION, names.host, names.job_id));
}

void Session::log_outcome(Names const& names, Judgement const& judgement, Decision const& decision) const {
    auto const& evaluation = judgement.evaluation;
    auto const result = milter_dmarc::to_string(judgement.result());
    // The line that existing log parsers read.
    if (!judgement.author.empty()) log_.info("{}: {} {}", names.job_id, judgement.author, result);
    log_.info(
        "{}: dmarc={} from={} policy_domain={} {}={} method={} spf_aligned={} dkim_aligned={} action={}{}{}",
        names.job_id, result, judgement.author, evaluation.found ? evaluation.found->domain : "",
        evaluation.policy_tag, milter_dmarc::to_string(evaluation.policy),
        evaluation.found ? milter_dmarc::to_string(evaluation.found->method) : "none", evaluation.spf_aligned,
        evaluation.dkim_aligned, to_string(decision.action),
        evaluation.reason.empty() ? "" : " reason=", printable(evaluation.reason));
    if (evaluation.found)
        for (auto const& note : evaluation.found->notes) log_.info("{}: {}", names.job_id, note);
}

Verdict Session::end_of_message(milter::Editor& editor, milter::Macros const& macros) {
    auto const& configuration = *configuration_;
    auto const& settings = configuration.settings;
    auto const names = names_of(macros);
    std::vector<std::string> from;
    for (auto const* field : headers_.all("From")) from.emplace_back(field->value());
    auto authors = find_authors(from);
    // A header section over the limit may hide a From field.
    authors.malformed |= header_overflow_;
    if (auto verdict = early_verdict(names, authors)) return *std::move(verdict);

    auto const deadline = Deadline::after(message_time);
    auto identities = inputs_of(names).identities;
    auto const spf_field = check_spf(names, identities, deadline);
    auto const query_timeout = settings.dns_timeout.count() > 0 ? settings.dns_timeout : message_time;
    Discovery discovery(*configuration.resolver, *configuration.suffixes,
                        {.mode = settings.discovery_mode, .query_timeout = query_timeout}, deadline);
    auto const judgement = judge(authors, identities, discovery);
    auto const decision = decide(judgement, settings, sample_());
    log_outcome(names, judgement, decision);
    if (auto recorded = record(names, judgement, identities, decision.action); !recorded) {
        log_.error("{}: cannot write the history, so the message waits: {}", names.job_id,
                   recorded.error().text);
        return temporary_failure();
    }
    outcomes_.count(judgement.result(), decision.action);
    if (decision.action == Action::reject) return Verdict::reject("550", "5.7.1", decision.reply);
    if (decision.action == Action::tempfail) return Verdict::tempfail("451", "4.7.1", decision.reply);
    if (auto edited = edit(editor, names, judgement, decision, spf_field); !edited) {
        log_.error("{}: cannot change the message, so it waits: {}", names.job_id, edited.error().text);
        return temporary_failure();
    }
    return Verdict::accept();
}

milter::Negotiation negotiation(Settings const& settings) {
    namespace bits = milter::bits;
    milter::Negotiation wanted;
    wanted.actions = bits::add_headers | bits::quarantine;
    if (!settings.copy_failures_to.empty()) wanted.actions |= bits::add_recipients;
    // RCPT and DATA are asked for although they tell nothing: the MTA sends their macros in any case, and
    // without an answer to them its next packet waits 40 ms for our delayed acknowledgement (TCP).
    wanted.wanted_steps = bits::no_body | bits::no_unknown | bits::skip;
    wanted.debug_level = settings.milter_debug;
    return wanted;
}

} // namespace postern::milter_dmarc
