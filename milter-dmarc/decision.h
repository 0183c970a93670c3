// From the author domains to what happens with the message.
#pragma once

#include "milter-dmarc/authors.h"
#include "milter-dmarc/evaluate.h"
#include "milter-dmarc/history.h"
#include "milter-dmarc/settings.h"

#include <optional>
#include <string>

namespace postern::milter_dmarc {

inline constexpr std::size_t max_evaluated_authors = 5;

// The verdict on the message as a whole.
struct Judgement {
    std::string author; // the author domain, or the one whose policy is strictest; empty: none
    Evaluation evaluation;
    // Several author domains or a From field that cannot be read: such mail never passes (RFC 9989 11.5). Its
    // result is permerror; the strictest policy that fails among its authors applies.
    bool ambiguous = false;
    bool unreadable =
        false; // an author may be hidden: a field without sense, or more authors than are asked about

    DmarcResult result() const;
};

Judgement judge(Authors const& authors, Identities const& identities, Discovery& discovery);

struct Decision {
    Action action = Action::accept;
    std::string reply;           // text for reject and tempfail
    std::string hold_reason;     // for quarantine
    bool copies_failure = false; // CopyFailuresTo applies
};

// sample: 0 to 99, for the record's pct.
Decision decide(Judgement const& judgement, Settings const& settings, unsigned sample);

// The Authentication-Results value: "ID; dmarc=fail (p=reject dis=none) header.from=D".
std::string results_field(std::string const& authserv_id, Judgement const& judgement,
                          Decision const& decision);

} // namespace postern::milter_dmarc
