// A connection on a master or userdb socket: deliveries, doveadm and Dovecot's mail processes ask about
// users.
#pragma once

#include "auth-socket/completions.h"
#include "auth-socket/protocol.h"
#include "auth-socket/surroundings.h"
#include "common/net/server.h"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace postern::auth_socket {

// Lookups of one connection that are not answered yet. LMTP asks one at a time, doveadm too.
inline constexpr std::size_t lookups_per_connection = 256;
// What one LIST may send: one connection cannot make the daemon hold more.
inline constexpr std::size_t list_limit = 64U << 20;

struct MasterSettings {
    bool master_role = false; // REQUEST and CACHE-FLUSH; else a userdb socket
    // A 0666 socket: anybody may connect, but only the socket's owner sees every user.
    bool checks_peer = false;
    unsigned socket_uid = 0;
    unsigned socket_gid = 0;
    std::function<std::size_t(std::vector<std::string> const& users)> flush_cache; // gives how many went
};

class MasterSession final : public net::Session {
  public:
    MasterSession(MasterSettings settings, std::shared_ptr<Authority const> authority,
                  Surroundings& surroundings, net::Peer const& peer, net::Waker waker);

    std::string greeting() override;
    Result<std::string> receive(std::string_view bytes) override;
    // What was answered before the line that breaks the protocol.
    std::string farewell(Error const&) override { return wake().value_or(""); }
    Result<std::string> wake() override;
    bool busy() const override { return working_ > 0; }

  private:
    using Job = std::function<std::string()>; // gives the reply
    Result<> handle(std::string const& line);
    Result<> dispatch(std::vector<std::string> const& fields, std::uint32_t id);
    Result<Request> lookup_request(std::vector<std::string> const& fields) const;
    Result<> user(std::vector<std::string> const& fields, std::uint32_t id);
    Result<> pass(std::vector<std::string> const& fields, std::uint32_t id);
    Result<> list(std::vector<std::string> const& fields, std::uint32_t id);
    Result<> request(std::vector<std::string> const& fields, std::uint32_t id);
    Result<> flush(std::vector<std::string> const& fields, std::uint32_t id);
    void work(std::uint32_t id, Job job);
    void collect();

    MasterSettings const settings_;
    std::shared_ptr<Authority const> const authority_;
    Surroundings& surroundings_;
    std::optional<net::Peer::Credentials> const peer_;
    std::optional<unsigned> restricted_to_; // only this uid's users are told
    std::shared_ptr<Completions<std::string>> const completions_;
    LineDecoder lines_{master_line_limit};
    std::string output_;
    bool has_version_ = false;
    std::size_t working_ = 0;
};

} // namespace postern::auth_socket
