// The SPF check of RFC 7208 on the envelope that the MTA tells.
#include "milter-dmarc/spf_check.h"

#include "common/mail/domain.h"

namespace postern::milter_dmarc {

SpfCheck make_spf_check(std::shared_ptr<dns::Resolver> const& resolver) {
    std::shared_ptr<spf::Engine const> const engine = spf::make_libspf2_engine();
    return [resolver, engine](Envelope const& envelope, Deadline deadline) -> SpfIdentity {
        auto const name = envelope.sender.empty() ? envelope.helo : envelope.sender_domain;
        auto const domain = mail::normal_domain(name).value_or("");
        auto const client = spf::IpAddress::parse(envelope.client_address);
        if (!client || domain.empty()) return {"none", domain};
        spf::CheckLimits limits;
        limits.time = std::min(limits.time, deadline.remaining());
        auto const outcome = spf::Checker(*resolver, *engine)
                                 .check({client->unmapped(), envelope.sender, envelope.helo}, limits);
        return {std::string(spf::to_string(outcome.verdict)), domain};
    };
}

} // namespace postern::milter_dmarc
