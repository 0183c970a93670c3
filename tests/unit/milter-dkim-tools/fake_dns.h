// Name servers in a map: the first takes updates, others show them only after some questions.
#pragma once

#include "milter-dkim/tools/rotate/dns_server.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace postern::test {

class FakeDns final : public milter_dkim::tools::DnsServers {
  public:
    struct Server {
        int lag = 0; // questions that are answered with the state before the last update
        bool silent = false;
        bool unreachable = false; // no way there
        bool lame = false;
        unsigned rcode = 0; // other than 0: every answer
        std::map<std::string, std::vector<std::string>> shown;
        std::map<std::string, std::vector<std::string>> before;
    };

    Server& operator[](std::string const& host) { return servers_[host]; }
    std::vector<std::string> const& updates() const { return updates_; } // "name=text"
    std::optional<Error> update_error;

    Result<milter_dkim::tools::DnsMessage> ask(net::Address const& server, std::string_view name,
                                               milter_dkim::tools::DnsType type, Deadline deadline) override;
    Result<> update(net::Address const& server, milter_dkim::tools::TxtUpdate const& update,
                    std::optional<milter_dkim::tools::TsigKey> const& key, Deadline deadline) override;

  private:
    std::map<std::string, Server> servers_;
    std::vector<std::string> updates_;
};

} // namespace postern::test
