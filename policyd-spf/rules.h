// What the settings make of an SPF result: which identity's rules hold, and what each result leads to.
#pragma once

#include "policyd-spf/answers.h"
#include "policyd-spf/settings.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::policyd_spf {

std::string domain_of_sender(std::string_view sender); // behind the last '@'; empty without one

// The rules of one identity of one message.
struct Rules {
    Scope scope = Scope::helo;
    RejectPolicy policy = RejectPolicy::fail;
    bool by_domain = false; // Reject_Not_Pass_Domains chose the policy
    bool permerror_reject = false;
    bool temperror_defer = false;
    bool only_null_sender = false; // HELO_reject = Null, and there is a sender: the HELO decides nothing

    Answer::Kind kind_of(spf::Verdict verdict) const; // prepend, reject or defer by the policy alone
    Answer::Kind fate_of(spf::Verdict verdict) const; // the same, dunno for only_null_sender
};
Rules rules_of(Scope scope, Subject const& subject, Settings const& settings);

// The lines of debugLevel 5, as stock words them.
std::vector<std::string> rules_lines(Rules const& rules, Settings const& settings);

} // namespace postern::policyd_spf
