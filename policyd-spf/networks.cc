// Lists of networks.
#include "policyd-spf/networks.h"

#include "common/base/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace postern::policyd_spf {

Networks::Parsed Networks::parse(std::string_view list) {
    Parsed parsed;
    std::size_t position = 0;
    for (auto const raw : split(list, ',')) {
        ++position;
        auto const text = trim(raw);
        if (text.empty()) continue;
        auto const told = fmt::format("entry {}, \"{}\",", position, printable(text, 64));
        auto const [address_text, prefix_text] = halve(text, '/');
        auto const address = spf::IpAddress::parse(address_text);
        auto const prefix = !address      ? std::nullopt
                            : prefix_text ? parse_number<unsigned>(*prefix_text)
                                          : std::optional(address->bits());
        if (!prefix || *prefix > address->bits()) {
            parsed.errors.push_back(told + " is no IP network");
            continue;
        }
        auto network = address->network(*prefix);
        if (network != *address)
            parsed.warnings.push_back(
                fmt::format("{} has host bits set; taken as {}/{}", told, network.to_string(), *prefix));
        parsed.networks.entries_.push_back({std::move(network), *prefix});
    }
    return parsed;
}

bool Networks::contains(spf::IpAddress const& address) const {
    return std::ranges::any_of(
        entries_, [&](Entry const& entry) { return address.in_network(entry.network, entry.prefix); });
}

} // namespace postern::policyd_spf
