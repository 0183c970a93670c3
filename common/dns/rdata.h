// Record data as it stands on the wire (RFC 1035 3.3), turned into a DnsRecord.
#pragma once

#include "common/base/error.h"
#include "common/dns/resolver.h"

#include <string_view>

namespace postern::dns {

// One record's data without compression, as libunbound gives it. Garbled data is ErrorKind::temporary:
// another answer may come whole.
Result<DnsRecord> decode_rdata(RecordType type, std::string_view rdata);

} // namespace postern::dns
