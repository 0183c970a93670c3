// One paragraph per rotation.
#include "milter-dkim/tools/rotate/report.h"

#include "common/base/text.h"
#include "milter-dkim/tools/key_record.h"
#include "milter-dkim/tools/rotate/options.h"

#include <fmt/format.h>

#include <vector>

namespace postern::milter_dkim::tools {

namespace {

std::string server_list(Authority const& authority) {
    std::vector<std::string> names;
    for (auto const& server : authority.servers)
        for (auto const& address : server.addresses)
            names.push_back(fmt::format("{} ({})", server.name, to_text(address)));
    return join(names, ", ");
}

std::string publishing(Rotation const& rotation, ReportParts const& parts) {
    std::string out;
    KeyRecord record;
    record.type = rotation.new_type;
    record.public_key = "...";
    auto const text = rotation.record.empty() ? record.text() : rotation.record;
    for (auto const& domain : rotation.domains) {
        auto const name = rotation.record_name(domain);
        out += fmt::format("  record  {}. {} IN TXT \"{}\"\n", name, parts.settings.ttl, text);
        auto const authority = parts.authorities.find(name, Deadline::after(parts.settings.step_time));
        if (authority)
            out += fmt::format("          published {}\n  wait    until it is at {}\n",
                               parts.publisher.describe(*authority), server_list(*authority));
        else
            out += fmt::format("          its servers cannot be found: {}\n", authority.error().text);
    }
    return out;
}

std::string retiring(Rotation const& rotation, std::int64_t due) {
    std::string out;
    for (auto const& domain : rotation.domains)
        out += fmt::format("  revoke  {}. from {} on: \"{}\"\n", rotation.old_record_name(domain),
                           date_text(due), revoked_record(rotation.old_type));
    return out;
}

} // namespace

std::string rotation_report(Rotation const& rotation, ReportParts const& parts) {
    auto out = fmt::format(
        "{}: {} -> {}{}\n", join(rotation.domains, ", "), rotation.old_selector, rotation.new_selector,
        rotation.step == RotationStep::planned ? std::string()
                                               : fmt::format(", under way: {}", to_string(rotation.step)));
    if (rotation.step == RotationStep::reloaded) return out + retiring(rotation, rotation.retire_at);
    auto const kind =
        rotation.new_type == KeyType::rsa ? fmt::format("rsa, {} bits", rotation.bits) : "ed25519";
    if (rotation.step == RotationStep::planned)
        out += fmt::format("  key     {}, in {}\n", kind, rotation.new_key_file);
    if (rotation.step != RotationStep::switched) {
        out += publishing(rotation, parts);
        auto const* key = find_key(parts.inventory, rotation, rotation.old_selector);
        out += fmt::format("  switch  {}\n",
                           key != nullptr ? key->place() : "nothing: the old selector is gone");
    }
    out += fmt::format("  reload  {}\n", parts.reloader.describe());
    return out + retiring(rotation, parts.now + parts.settings.keep);
}

} // namespace postern::milter_dkim::tools
