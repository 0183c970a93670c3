// Lists of clients (InternalHosts, PeerList, ...): names, parent domains, addresses and networks.
#pragma once

#include "milter-dkim/tables/data_set.h"

#include <string>
#include <string_view>

namespace postern::milter_dkim {

// The name itself, then each ".parent". "!name" in the list says no. A name in brackets is none.
Result<bool> lists_host(DataSet const& hosts, std::string_view name);
// The address, then every network that holds it, the smallest first, as ADDRESS/BITS and (IPv4)
// ADDRESS/MASK; "!..." says no. An IPv4 address written in IPv6 counts as IPv4.
Result<bool> lists_address(DataSet const& hosts, std::string_view address);
// Either.
Result<bool> lists_client(DataSet const& hosts, std::string_view name, std::string_view address);

} // namespace postern::milter_dkim
