// What earlier filters found out about a message: SPF and DKIM results from trusted header fields.
#pragma once

#include "common/mail/headers.h"
#include "milter-dmarc/evaluate.h"

#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dmarc {

// The envelope that results must be about.
struct Envelope {
    std::string client_host;
    std::string client_address;
    std::string helo;
    std::string sender;        // without <>; empty: the null sender
    std::string sender_domain; // normalised; empty for the null sender or a broken address
};

struct Trust {
    std::vector<std::string> authserv_ids; // the first is our own
    std::string job_id;                    // not empty: results may carry "/job_id", and only this one
    bool authentication_results_spf = true;
    bool received_spf = true;
};

struct Inputs {
    Identities identities;
    std::vector<std::string> ignored; // authserv-ids of fields that were passed over, "?" for unreadable ones
};

inline constexpr std::size_t max_dkim_identities = 100;

Inputs read_inputs(mail::Headers const& headers, Envelope const& envelope, Trust const& trust);

} // namespace postern::milter_dmarc
