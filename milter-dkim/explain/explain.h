// milter-dkim --explain: step by step what would be done with a message, and why.
#pragma once

#include "milter-dkim/decide/origin.h"
#include "milter-dkim/explain/page.h"
#include "milter-dkim/message/sender.h"
#include "milter-dkim/rehearse/rehearsal.h"

#include <string>
#include <vector>

namespace postern::milter_dkim::explain {

struct Case {
    std::string name; // of the file
    std::shared_ptr<Generation const> generation;
    RehearsedMessage message;
    Envelope envelope;

    Configuration const& configuration() const { return *generation->configuration; }
    Settings const& settings() const { return generation->configuration->settings; }
    MessageFacts facts() const;
};

std::string explanation(Case const& about);

// The chapters.
void tell_message(Page& page, Case const& about);
// Each question on the way to sign or verify, with its answer and where that stands.
Decision tell_decision(Page& page, Case const& about);
void tell_signing(Page& page, Case const& about, Decision const& decision, Rehearsal const& done);
void tell_verifying(Page& page, Case const& about, Decision const& decision);
void tell_effect(Page& page, Rehearsal const& done);

} // namespace postern::milter_dkim::explain
