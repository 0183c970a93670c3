// Finds the policy record that governs an author domain, and organizational domains (RFC 9989 4.10, RFC
// 7489 3.2).
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"
#include "common/dns/resolver.h"
#include "common/mail/org_domain.h"
#include "milter-dmarc/record.h"

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postern::milter_dmarc {

// Where the organizational domain comes from.
enum class Method {
    psl,      // the Public Suffix List (RFC 7489)
    treewalk, // policy records of the names above, up to eight questions (RFC 9989)
};
std::string_view to_string(Method method);

enum class DiscoveryMode {
    psl,
    treewalk,
    // The list's answer; the tree walk where a record carries psd=, or where the list leads to no record.
    automatic,
};

struct DiscoverySettings {
    DiscoveryMode mode = DiscoveryMode::automatic;
    // Tree walk: a record without psd= at a public suffix or a single label, met on the way up, is passed
    // over. RFC 9989 taken by the letter would make all names below such a suffix one organization (its
    // section 11.8).
    bool pass_over_suffixes = true;
    std::chrono::milliseconds query_timeout = std::chrono::seconds(5);
};

struct FoundRecord {
    std::string domain; // the policy domain: where the record stands
    Record record;
    Method method = Method::psl;
    std::vector<std::string> notes; // what was passed over, for the log
};

// One message's questions: each name is asked once. Names are normalised (common/mail/domain.h). Every error
// is temporary: the DNS could not be asked.
class Discovery {
  public:
    Discovery(dns::Resolver& resolver, mail::PublicSuffixes const& suffixes, DiscoverySettings settings,
              Deadline deadline)
        : resolver_(resolver), suffixes_(suffixes), settings_(settings), deadline_(deadline) {}

    // The record whose policy applies to mail from the author domain; absent: the domain takes no part in
    // DMARC.
    Result<std::optional<FoundRecord>> record_for(std::string const& author);
    Result<std::string> organizational_domain(std::string const& name, Method method);
    // RFC 9989 3.2.13: only NXDOMAIN proves that a name does not exist.
    Result<bool> exists(std::string const& name);

    // The names below _dmarc that were asked, in order.
    std::vector<std::string> const& asked() const { return asked_; }

  private:
    struct Met {
        std::string domain;
        Record record;
    };

    Result<std::optional<Record>> record_at(std::string const& name);
    Result<std::optional<Record>> ask(std::string const& name);
    Result<std::vector<Met>> walk(std::string const& start);
    Result<std::optional<FoundRecord>> record_by_list(std::string const& author);
    Result<std::optional<FoundRecord>> record_by_walk(std::string const& author);
    bool is_passed_over(std::string const& name, std::string const& start, Record const& record) const;

    dns::Resolver& resolver_;
    mail::PublicSuffixes const& suffixes_;
    DiscoverySettings settings_;
    Deadline deadline_;
    std::map<std::string, std::optional<Record>, std::less<>> records_;
    std::vector<std::string> asked_;
    std::vector<std::string> notes_;
};

// RFC 9989 4.10: the names whose _dmarc is asked for, in order; at most eight.
std::vector<std::string> walk_names(std::string_view start);

} // namespace postern::milter_dmarc
