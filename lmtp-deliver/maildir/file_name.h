// Names of Maildir files: unique in time, process and host, with the sizes that readers trust.
#pragma once

#include "lmtp-deliver/spool.h"

#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace postern::lmtp_deliver {

class FileNames {
  public:
    struct Time {
        std::int64_t seconds = 0;
        std::int64_t microseconds = 0;
    };
    using Clock = std::function<Time()>;
    static Time system_time();

    // '/', ':' and ',' in the host name are written in octal, as the Maildir convention has it.
    explicit FileNames(std::string_view host, Clock clock = system_time);
    // "1795240587.M97199P12076.vm"; later than any before it in this process.
    std::string next();

  private:
    std::string host_;
    Clock clock_;
    std::mutex mutex_; // guards last_
    Time last_;
};

// The name in new/: "NAME,S=245,W=255".
std::string with_sizes(std::string_view name, MessageSize size);

std::string this_host();

} // namespace postern::lmtp_deliver
