// What a script may put into a header: no more than a field.
#pragma once

#include <cstddef>
#include <string_view>

namespace postern::milter_dkim::lua {

inline constexpr std::size_t max_field_name = 998;    // octets
inline constexpr std::size_t max_field_value = 65536; // octets

bool is_field_name(std::string_view name);
// Lines that go on begin with white space, and nothing ends the header.
bool is_field_value(std::string_view value);

} // namespace postern::milter_dkim::lua
