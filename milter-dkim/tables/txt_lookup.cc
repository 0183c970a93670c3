// Asks the test data, else the DNS.
#include "milter-dkim/tables/txt_lookup.h"

namespace postern::milter_dkim {

Result<std::vector<std::string>> txt_records(Configuration const& configuration, dns::Resolver& resolver,
                                             std::string const& name) {
    std::vector<std::string> records;
    if (configuration.test_keys) {
        auto found = configuration.test_keys->find(name);
        if (!found) return std::unexpected(std::move(found.error()));
        if (*found) records.push_back(std::move(**found));
        return records;
    }
    auto const deadline = Deadline::after(configuration.settings.dns_timeout);
    auto answer = resolver.lookup(name, dns::RecordType::txt, deadline);
    if (!answer) return std::unexpected(std::move(answer.error()));
    for (auto& record : answer->records) records.push_back(std::move(record.data));
    return records;
}

} // namespace postern::milter_dkim
