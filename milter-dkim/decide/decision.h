// Sign, verify or let pass: OpenDKIM's decision, and why.
#pragma once

#include "milter-dkim/configuration.h"
#include "milter-dkim/decide/reasons.h"
#include "milter-dkim/message/message_facts.h"

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace postern::milter_dkim {

struct Decision {
    enum class Action {
        pass,      // let it through untouched
        sign,      // make requests
        verify,    //
        malformed, // no usable sender: permerror, or pass with IgnoreMalformedMail
        tempfail,  // it should be signed, and cannot be now
        scripted,  // a script has said what becomes of it
    };
    Action action = Action::verify;
    std::vector<SigningRequest> requests;
    bool verifies_too = false;      // with sign: a script wants both
    bool tells_length = false;      // BodyLengthDB wants l=
    bool names_third_party = false; // ATPSDomains wants atps=
    std::string sender_domain;      // lower case; a parent of it with SubDomains
    bool internal = false;
    std::vector<ReasonLine> lines;
};

// With KeyFile and Selector; the error is for the log.
Result<SigningRequest> default_request(Configuration const& configuration, std::string const& domain);

// SetupPolicyScript: asked when origin and tables have been; may add requests, or end the deciding.
using SetupHook = std::function<std::optional<Decision::Action>(Decision&)>;

Decision decide(Configuration const& configuration, MessageFacts const& facts, SetupHook const& setup = {});

} // namespace postern::milter_dkim
