// The author domains of all From fields.
#include "milter-dmarc/authors.h"

#include "common/mail/address.h"
#include "common/mail/domain.h"

#include <algorithm>

namespace postern::milter_dmarc {

Authors find_authors(std::vector<std::string> const& values) {
    Authors authors;
    authors.fields = values.size();
    for (auto const& value : values) {
        auto const mailboxes = mail::parse_mailboxes(value);
        if (!mailboxes) {
            authors.malformed = true;
            continue;
        }
        for (auto const& each : *mailboxes) {
            if (each.domain.empty() || each.domain.starts_with('[')) continue;
            auto domain = mail::normal_domain(each.domain);
            if (!domain)
                authors.malformed = true;
            else if (std::ranges::find(authors.domains, *domain) == authors.domains.end())
                authors.domains.push_back(std::move(*domain));
        }
    }
    return authors;
}

} // namespace postern::milter_dmarc
