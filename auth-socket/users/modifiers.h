// What may be done to a variable's value: 2.3's letters and widths, its hashes, and 2.4's filters.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postern::auth_socket {

// "1.2Lu": everything before the variable itself.
struct Formatting {
    std::size_t length = 0; // octets that it takes
    int offset = 0;         // negative: counted from the end
    int width = 0;          // 0: the rest; the modulus of the hashes H and N
    bool zero_padded = false;
    std::string letters; // of "LUEXRNHMDT", applied in order
};

Formatting read_formatting(std::string_view text);
std::string formatted(std::string value, Formatting formatting);

// sha256;rounds=1000,salt=x,truncate=8:user
struct HashVariable {
    std::string digest, salt, variable;
    unsigned rounds = 1;
    std::size_t truncate_bits = 0;
};
std::optional<HashVariable> hash_variable(std::string_view text);
Result<std::string> hash_value(HashVariable const& hash, std::string const& value);

// %{user | lower | substr(0, 2)}: the pieces behind the name.
Result<std::string> filtered(std::string value, std::span<std::string_view const> filters);

// ==, !=, <, <=, >, >= on numbers; eq, ne, lt, le, gt, ge, * (wildcard), !* on text.
Result<bool> comparison(std::string const& left, std::string_view relation, std::string const& right);

// '*' and '?'; case counts.
bool matches_wildcard(std::string_view text, std::string_view pattern);

} // namespace postern::auth_socket
