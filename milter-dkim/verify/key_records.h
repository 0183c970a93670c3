// The key records of a message's signatures (RFC 6376 3.6.2), each asked for once.
#pragma once

#include "common/dns/resolver.h"
#include "milter-dkim/configuration.h"
#include "milter-dkim/verify/signature.h"

#include <map>
#include <string>

namespace postern::milter_dkim {

// What the DNS said under one name.
struct KeyRecord {
    bool unreachable = false;
    bool bogus = false; // DNSSEC says that the answer is forged
    bool absent = false;
    std::string fault; // why there is no record to read
    std::string text;
    std::string dnssec;
};

// Of one message.
class KeyRecords {
  public:
    KeyRecords(Configuration const& configuration, dns::Resolver& resolver)
        : configuration_(configuration), resolver_(resolver) {}
    KeyRecord const& of(Signature const& signature);

  private:
    KeyRecord ask(std::string const& name);

    Configuration const& configuration_;
    dns::Resolver& resolver_;
    std::map<std::string, KeyRecord> records_; // by name
};

} // namespace postern::milter_dkim
