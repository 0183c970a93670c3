// Asks TestPublicKeys, else the DNS.
#include "milter-dkim/verify/key_records.h"

#include "milter-dkim/verify/public_key.h"

#include <string_view>
#include <vector>

namespace postern::milter_dkim {

KeyRecord KeyRecords::ask(std::string const& name) {
    KeyRecord out;
    if (configuration_.test_keys) {
        auto const found = configuration_.test_keys->find(name);
        out.unreachable = !found;
        if (!found) out.fault = found.error().text;
        out.absent = found && !*found;
        if (found && *found) out.text = **found;
        return out;
    }
    auto const answer =
        resolver_.lookup(name, dns::RecordType::txt, Deadline::after(configuration_.settings.dns_timeout));
    if (!answer) {
        // A name that cannot be in the DNS is not there.
        out.absent = answer.error().kind == ErrorKind::malformed;
        out.unreachable = !out.absent;
        out.bogus = dns::is_bogus(answer.error());
        if (out.bogus) out.dnssec = "bogus";
        out.fault = answer.error().text;
        return out;
    }
    out.dnssec = answer->secure ? "secure" : "unprotected";
    std::vector<std::string_view> keys;
    for (auto const& record : answer->records)
        if (has_key(record.data)) keys.push_back(record.data);
    if (keys.size() > 1) out.fault = "multiple keys found";
    if (keys.empty() && answer->found()) out.fault = "no key in the record";
    out.absent = keys.empty() && !answer->found();
    if (keys.size() == 1) out.text = keys.front();
    return out;
}

KeyRecord const& KeyRecords::of(Signature const& signature) {
    auto const name = signature.selector + "._domainkey." + signature.domain;
    auto const known = records_.find(name);
    return known != records_.end() ? known->second : records_.emplace(name, ask(name)).first->second;
}

} // namespace postern::milter_dkim
