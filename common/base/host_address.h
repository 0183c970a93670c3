// A host's address before a deadline: getaddrinfo(3) has none, and waits as long as resolv.conf(5) says.
#pragma once

#include "common/base/clock.h"
#include "common/base/error.h"

#include <string>

namespace postern {

// In digits. An address in digits comes back as it is. Temporary error: no answer in time, or no such host.
Result<std::string> host_address(std::string const& host, Deadline deadline);

} // namespace postern
