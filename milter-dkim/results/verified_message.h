// A message whose signatures were looked at, as those need it who write it down or tell of it.
#pragma once

#include "milter-dkim/message/message_facts.h"
#include "milter-dkim/message/signature_field.h"
#include "milter-dkim/results/results.h"

#include <string>
#include <vector>

namespace postern::milter_dkim {

struct VerifiedMessage {
    std::string job_id;
    std::string our_host;       // the MTA's {j}
    std::string client_address; //
    std::string envelope_from;  // without angle brackets
    std::string sender_domain;  // of From
    HeaderList const* headers = nullptr;
    std::vector<SignatureResult> results;             // in the order of the fields
    std::vector<SignatureField const*> signatures;    // those of the results
    std::vector<std::string const*> signature_values; // and as they stand in the header
    std::string body;                                 // as far as it was kept

    // The first signature that failed, or none: what DiagnosticDirectory and reports are about.
    static constexpr std::size_t none = static_cast<std::size_t>(-1);
    std::size_t first_failed() const {
        for (std::size_t i = 0; i < results.size(); ++i)
            if (results[i].kind == SignatureResult::Kind::fail ||
                results[i].kind == SignatureResult::Kind::policy ||
                results[i].kind == SignatureResult::Kind::permerror)
                return i;
        return none;
    }
};

} // namespace postern::milter_dkim
