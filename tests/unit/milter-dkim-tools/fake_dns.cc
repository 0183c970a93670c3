// The name servers of the rotation tests.
#include "tests/unit/milter-dkim-tools/fake_dns.h"

namespace postern::test {

using namespace milter_dkim::tools;

Result<DnsMessage> FakeDns::ask(net::Address const& server, std::string_view name, DnsType, Deadline) {
    auto& asked = servers_[server.host];
    if (asked.unreachable) return permanent("no way");
    if (asked.silent) return temporary("no answer");
    DnsMessage message;
    message.is_response = true;
    message.authoritative = !asked.lame;
    message.rcode = asked.rcode;
    bool const late = asked.lag > 0;
    if (late) --asked.lag;
    auto const& shown = late ? asked.before : asked.shown;
    auto const found = shown.find(std::string(name));
    if (found == shown.end()) {
        if (message.rcode == 0) message.rcode = 3;
        return message;
    }
    for (auto const& text : found->second) {
        DnsRecord record;
        record.name = name;
        record.type = DnsType::txt;
        for (std::size_t at = 0; at < text.size(); at += 255) {
            auto const piece = text.substr(at, 255);
            record.data += static_cast<char>(piece.size());
            record.data += piece;
        }
        message.answers.push_back(std::move(record));
    }
    return message;
}

Result<> FakeDns::update(net::Address const&, TxtUpdate const& update, std::optional<TsigKey> const&,
                         Deadline) {
    if (update_error) return std::unexpected(*update_error);
    updates_.push_back(update.name + "=" + update.text);
    for (auto& [host, server] : servers_) {
        if (server.lag > 0) server.before = server.shown;
        server.shown[update.name] = {update.text};
    }
    return {};
}

} // namespace postern::test
