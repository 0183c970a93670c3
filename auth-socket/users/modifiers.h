// What may be done to a variable's value: 2.3's letters, widths, hashes and comparisons.
#pragma once

#include "common/base/error.h"

#include <optional>
#include <string>
#include <string_view>

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
    std::string digest, salt, format, variable;
    unsigned rounds = 1;
    std::size_t truncate_bits = 0;
};
std::optional<HashVariable> hash_variable(std::string_view text);
Result<std::string> hash_value(HashVariable const& hash, std::string const& value);

// Empty: there is no such digest.
std::string digest_named(std::string_view name, std::string_view text);
// The first so many bits, at the right end of as many octets as they need.
void truncate_to_bits(std::string& octets, std::size_t bits);

// The whole text replaced, with \\1 or $1 for the pattern's groups, where it matches.
Result<std::string> replaced_by_pattern(std::string const& text, std::string const& pattern,
                                        std::string_view replacement);

// ==, !=, <, <=, >, >= on numbers; eq, ne, lt, le, gt, ge, * (wildcard), !*, ~ (pattern), !~ on text.
// Temporary error: not a number.
Result<bool> comparison(std::string const& left, std::string_view relation, std::string const& right);

// '*' and '?'; case counts.
bool matches_wildcard(std::string_view text, std::string_view pattern);

} // namespace postern::auth_socket
