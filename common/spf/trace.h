// The words in which an evaluation tells its steps, for --explain.
#pragma once

#include "common/dns/resolver.h"
#include "common/spf/record.h"

#include <span>
#include <string>
#include <vector>

namespace postern::spf {

// "192.0.2.1, 192.0.2.2", "10 mail.example.com", "none"; the first few of many.
std::string shown_records(std::vector<dns::DnsRecord> const& records, dns::RecordType type);
// What is said of terms that did not match and ask no DNS: each by itself, or how many there are.
std::vector<std::string> shown_networks(std::span<Term const> terms);

} // namespace postern::spf
