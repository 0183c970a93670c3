// Values as Python's repr() shows them, which is how they stand in python policyd-spf's log.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postern::policyd_spf {

// 'text', or "text" where it has a ' and no "; the mark and \ inside it are escaped.
std::string quoted(std::string_view text);
// b'octets': the same, and what is not printable ASCII as \xNN, \n, \r, \t.
std::string quoted_octets(std::string_view octets);
std::string python_list(std::vector<std::string> const& texts); // ['a', 'b']
std::string_view python_flag(bool flag);                        // True, False

} // namespace postern::policyd_spf
