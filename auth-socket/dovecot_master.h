// Started by Dovecot's master process ("service auth { executable = auth-socket }"): what it passes, and what
// it wants to be told.
#pragma once

#include "common/base/error.h"
#include "common/base/log.h"
#include "common/config/settings.h"
#include "common/net/address.h"
#include "common/net/server.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace postern::auth_socket {

// Descriptors that the master fixes.
inline constexpr int master_status_descriptor = 5;
inline constexpr int master_dead_descriptor = 6;
inline constexpr int first_listening_descriptor = 7;

// SOCKETn_SETTINGS of one listening socket.
struct InheritedSocket {
    std::string name; // the last component of its path; what it speaks is told by it
    std::string type; // 2.4: the listener's "type"
};

struct MasterEnvironment {
    std::uint32_t generation = 0; // the master knows each process by its pid and this number
    std::uint32_t client_limit = 0;
    std::string config_file;
    std::vector<InheritedSocket> sockets; // from first_listening_descriptor on

    // 2.3 names the socket of its config process, beside which it keeps a link to the dovecot.conf.
    std::string dovecot_conf() const;
};

using EnvironmentReader = std::function<char const*(char const*)>;
// Absent: not a child of Dovecot's master. Permanent error: a child, but a variable cannot be read.
Result<std::optional<MasterEnvironment>> read_master_environment(EnvironmentReader const& variable);

// Where a listening socket is bound.
Result<net::Address> bound_address(int descriptor);

// The master's report about one process: pid, generation, free places; in the machine's own order of octets.
std::string status_report(std::uint32_t pid, std::uint32_t generation, std::uint32_t available);

// Standard error leads to Dovecot's log process: octet 1, an octet for the level, the pid, a blank, the text.
// The log process writes "auth: " before it, so that ours is left out.
class MasterLog final : public Log {
  public:
    static std::string line(LogLevel level, std::uint32_t pid, std::string_view text);

  protected:
    void put(LogLevel level, std::string_view line) override;
};

// Standard error is the log itself there: a line once, with its level.
void report_in_log(std::vector<config::Problem> const& problems, Log& log);

// Takes away what would hurt a child of the master: service manager variables that are the master's, SIGQUIT
// (the master's word for "close your listeners"), and limits made for a process without threads.
void settle_as_child_of_master();

// Tells the master once that this process serves (it kills a child that says nothing for 30 s), and ends this
// process as SIGTERM does when the master has gone or has read a new configuration.
class MasterLink {
  public:
    explicit MasterLink(MasterEnvironment const& environment) : environment_(environment) {}
    ~MasterLink();
    void start(Log& log);

  private:
    void watch() const;

    MasterEnvironment const environment_;
    net::Waker stop_;
    std::thread watcher_;
};

} // namespace postern::auth_socket
