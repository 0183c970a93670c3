// Domain names in the one form that is compared: lower case, A-labels, no final dot.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postern::mail {

// Lower case, U-labels as A-labels (RFC 5891, non-transitional), one final dot removed. Absent when it is no
// host-like name: empty labels, a label over 63 or a name over 253 octets, or a character besides letters,
// digits, "-" and "_".
std::optional<std::string> normal_domain(std::string_view domain);

// The part behind the last "@", normalised; absent when there is none or it is no domain.
std::optional<std::string> domain_of_address(std::string_view address);

// All of these take normalised names.
std::size_t label_count(std::string_view domain);
// The last count labels; the whole name when it has no more.
std::string_view last_labels(std::string_view domain, std::size_t count);
// True for the name itself too. Compares whole labels: notexample.com is not below example.com.
bool is_at_or_below(std::string_view domain, std::string_view parent);

} // namespace postern::mail
