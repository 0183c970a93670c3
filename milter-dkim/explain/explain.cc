// The chapters in their order, the message's own, and what is done in the end.
#include "milter-dkim/explain/explain.h"

#include "common/base/text.h"

#include <fmt/format.h>

namespace postern::milter_dkim::explain {

namespace {

std::string client_of(Envelope const& envelope) {
    return fmt::format("{} [{}], {}", envelope.client_name, envelope.client_address,
                       envelope.auth_type.empty() ? "not logged in" : "logged in with " + envelope.auth_type);
}

std::string_view stage_name(Rehearsal::Stage stage) {
    switch (stage) {
    case Rehearsal::Stage::connect: return "at the connection";
    case Rehearsal::Stage::mail_from: return "at MAIL FROM";
    case Rehearsal::Stage::recipient: return "at RCPT TO";
    case Rehearsal::Stage::header: return "in the header";
    case Rehearsal::Stage::end_of_headers: return "at the end of the header";
    case Rehearsal::Stage::body: return "in the body";
    case Rehearsal::Stage::end_of_message: return "at the end of the message";
    }
    return {};
}

std::string words_of(milter::Verdict const& verdict) {
    using Action = milter::Verdict::Action;
    auto const reply = fmt::format("{} {} {}", verdict.code, verdict.enhanced, verdict.text);
    switch (verdict.action) {
    case Action::next:
    case Action::skip:
    case Action::accept: return "the message goes on";
    case Action::discard: return "the message is thrown away, and the client told that it was taken";
    case Action::reject: return "refused: " + (verdict.code.empty() ? "550 5.7.1 by the MTA" : reply);
    case Action::tempfail: return "put off: " + (verdict.code.empty() ? "451 4.7.1 by the MTA" : reply);
    }
    return {};
}

void tell_change(Page& page, Rehearsal::Change const& change) {
    using Kind = Rehearsal::Change::Kind;
    switch (change.kind) {
    case Kind::insert: page.lines("+", fmt::format("{}: {}", change.name, change.value)); return;
    case Kind::add:
        page.lines("+", fmt::format("{}: {} (at the end)", change.name, trim(change.value)));
        return;
    case Kind::change:
        page.lines("~", fmt::format("{} number {} becomes: {}", change.name, change.index, change.value));
        return;
    case Kind::remove:
        page.lines("-", fmt::format("{} number {} from the top", change.name, change.index));
        return;
    case Kind::hold: page.lines("!", "held in the queue: " + change.value); return;
    case Kind::add_recipient: page.lines("+", "recipient " + change.value); return;
    case Kind::remove_recipient: page.lines("-", "recipient " + change.value); return;
    }
}

} // namespace

MessageFacts Case::facts() const {
    return {envelope.client_name, envelope.client_address, envelope.recipients, &message.headers,
            [this](std::string_view macro) -> std::optional<std::string> {
                if (macro == "{auth_type}" && !envelope.auth_type.empty()) return envelope.auth_type;
                if (macro == "{daemon_name}" && !envelope.daemon_name.empty()) return envelope.daemon_name;
                if (macro == "j" && !envelope.host_name.empty()) return envelope.host_name;
                return std::nullopt;
            }};
}

void tell_message(Page& page, Case const& about) {
    page.title(fmt::format("Message {}", about.name));
    page.row("client", client_of(about.envelope));
    page.row("MAIL FROM", "<" + about.envelope.mail_from + ">");
    page.row("RCPT TO", "<" + join(about.envelope.recipients, ">, <") + ">");
    for (auto const* name : {"From", "Subject"})
        if (auto const* value = find_header(about.message.headers, name)) page.row(name, on_one_line(*value));
    page.row("size", fmt::format("{}, {} of body", counted(about.message.headers.size(), "header field"),
                                 counted(about.message.body.size(), "octet")));
}

void tell_effect(Page& page, Rehearsal const& done) {
    page.title("What is done");
    for (auto const& change : done.changes) tell_change(page, change);
    if (done.changes.empty()) page.row("changes", "none");
    page.row("answer", fmt::format("{}, {}", words_of(done.verdict()), stage_name(done.steps.back().stage)));
    if (done.log.empty()) return;
    page.title("In the log");
    for (auto const& [level, line] : done.log) page.row(to_string(level), line);
}

std::string explanation(Case const& about) {
    Page page;
    tell_message(page, about);
    auto const decision = tell_decision(page, about);
    auto const done = rehearse(about.generation, about.message, about.envelope);
    if (decision.action == Decision::Action::sign) tell_signing(page, about, decision, done);
    if (decision.action == Decision::Action::verify) tell_verifying(page, about, decision);
    tell_effect(page, done);
    return page.text();
}

} // namespace postern::milter_dkim::explain
