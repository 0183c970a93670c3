// Base64 (RFC 4648 section 4) and hexadecimal, strict on what they read.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postern {

std::string base64_encode(std::string_view octets);
// Absent on any character outside the alphabet, on wrong padding or length. Padding is required.
std::optional<std::string> base64_decode(std::string_view text);
// The URL-safe alphabet (RFC 4648 section 5) without padding, as JOSE writes it (RFC 7515 section 2).
std::string base64url_encode(std::string_view octets);
std::optional<std::string> base64url_decode(std::string_view text);

std::string hex_encode(std::string_view octets);              // lower case
std::optional<std::string> hex_decode(std::string_view text); // either case, even length

} // namespace postern
