// A DNS server in the test's own process: UDP and TCP on a loopback port, answers from a Zone.
#pragma once

#include "tests/unit/support/fake_resolver.h"

#include <atomic>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace postern::test {

class DnsServer {
  public:
    enum class Manner {
        normal,
        silent,    // never answers
        garbage,   // answers octets that are no DNS message
        truncated, // UDP answers say "ask over TCP"
        late,      // answers after a second
        refused,
    };

    DnsServer();
    ~DnsServer();
    DnsServer(DnsServer const&) = delete;
    DnsServer& operator=(DnsServer const&) = delete;

    // The zone and manners may change while the server runs.
    void serve(Zone zone);
    void set_manner(std::string_view name, Manner manner);

    std::string nameserver() const; // "127.0.0.1@PORT"
    // "udp example.com TXT", in order of arrival, the name in lower case.
    std::vector<std::string> questions() const;

  private:
    void run();
    void answer_udp();
    void answer_tcp();
    std::string reply_to(std::string_view query, bool tcp);

    int udp_ = -1;
    int tcp_ = -1;
    int stop_[2] = {-1, -1};
    std::uint16_t port_ = 0;
    mutable std::mutex mutex_; // guards the three below
    Zone zone_;
    std::map<std::string, Manner> manners_;
    std::vector<std::string> questions_;
    std::thread thread_;
};

} // namespace postern::test
