// A host name for which getaddrinfo(3) does not come back. For tests that are linked with slow_dns.cc.
#pragma once

#include <string_view>

namespace postern::test {

inline constexpr std::string_view slow_name = "slow.dns.example";

// Lets every question for slow_name, asked or to be asked, end with an error; waits for one.
void let_slow_dns_go();

} // namespace postern::test
